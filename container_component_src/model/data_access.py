"""Check that a training can read its data and write its bundle, before it takes hours."""

import logging

from container_component_src import storage
from container_component_src.data_root import WRITE_PROBE
from container_component_src.errors import PipelineError
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset

logger = logging.getLogger(__name__)


def check_access(arguments: TrainingArguments) -> None:
    """Read the manifests of the datasets, and write a small file to the folder of the bundle.

    Raises:
        InputError: A dataset or bucket does not exist, or a key is wrong.
        StepError: The store does not answer, or does not allow writing.
    """
    for uri in (arguments.train_df_path, arguments.val_df_path):
        Dataset.open(uri)
    probe = storage.resolve(arguments.model_output_file) / WRITE_PROBE
    probe.write_bytes(b"")
    try:
        probe.remove()
    except (PipelineError, OSError) as error:  # nothing else needs permission to delete
        logger.info("%s: an empty file that tested write permission remains: %s", probe.uri, error)

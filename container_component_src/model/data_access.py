"""Check that a training can read its data and write its bundle, before it takes hours."""

import logging

from container_component_src import storage
from container_component_src.data_root import WRITE_PROBE
from container_component_src.errors import PipelineError
from container_component_src.steps.sizes import AvailableMemory, check_memory
from container_component_src.steps.training import Hyperparameters, TrainingArguments, TrainingData
from container_component_src.telemetry.dataset import Dataset

logger = logging.getLogger(__name__)


def check_data(
    data: TrainingData, memory: AvailableMemory, point: Hyperparameters, processes: int = 1, nodes: int = 1
) -> None:
    """Read the manifests of the datasets, and check that memory can hold a training on them.

    Args:
        data: Arguments that name the datasets.
        memory: What there is.
        point: The largest sizes to train with.
        processes: Processes that train in this memory.
        nodes: Processes that share a batch.

    Raises:
        InputError: A dataset does not exist, or the sizes need more memory.
    """
    train, val = (Dataset.open(uri) for uri in (data.train_df_path, data.val_df_path))
    rows = max(train.manifest.rows, val.manifest.rows)
    check_memory(memory, point, len(train.varying().channels), rows, processes, nodes, data.detector)


def check_access(arguments: TrainingArguments) -> None:
    """Write a small file to the folder of the bundle.

    Raises:
        InputError: A bucket does not exist, or a key is wrong.
        StepError: The store does not answer, or does not allow writing.
    """
    probe = storage.resolve(arguments.model_output_file) / WRITE_PROBE
    probe.write_bytes(b"")
    try:
        probe.remove()
    except (PipelineError, OSError) as error:  # nothing else needs permission to delete
        logger.info("%s: an empty file that tested write permission remains: %s", probe.uri, error)

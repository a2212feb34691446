"""`run_pytorchjob`: the final training, distributed over nodes."""

from typing import TYPE_CHECKING, Any

import click

from container_component_src.cli.cluster_options import cluster_options, print_manifest
from container_component_src.cli.options import (
    POSITIVE,
    JsonValue,
    backend_option,
    data_root_option,
    executor_input_option,
)
from container_component_src.cli.training_options import training_options

if TYPE_CHECKING:
    from container_component_src.cluster.pod_settings import PodSettings


@click.command()
@click.option(
    "--hyperparameters",
    type=JsonValue(dict),
    default="{}",
    help='JSON as the tuning returns it: {"latent_dim": 8, "hidden_dims": "128,64", "beta": 1.0, "lr": 0.001, '
    '"batch_size": 1024}; those left out have the defaults of run_training.',
)
@training_options(
    "train_df_path",
    "val_df_path",
    "seed",
    "max_epochs",
    "early_stopping_patience",
    "window_steps",
    "num_gpu_nodes",
    "smoothing_window",
    "alarm_quantile",
    "threshold_method",
    "model_output_file",
)
@data_root_option
@click.option(
    "--model-copy-path", default="", help="With a data root: folder of a copy of the bundle, for the pipeline's store."
)
@click.option(
    "--job-timeout",
    type=POSITIVE,
    default=86_400.0,
    show_default=True,
    help="Seconds that the training may take, the time until its pods have nodes included.",
)
@cluster_options()
@backend_option
@executor_input_option
def run_pytorchjob(
    hyperparameters: dict[str, Any],
    data_root: str,
    model_copy_path: str,
    job_timeout: float,
    pods: "PodSettings",
    dry_run: bool,
    backend_name: str,
    executor_input: str,
    **options: Any,
) -> None:
    """Train with given hyperparameters on several nodes and write the model bundle."""
    from container_component_src import outputs, storage
    from container_component_src.backends.base import get_backend
    from container_component_src.data_root import place
    from container_component_src.model.arguments import Hyperparameters, TrainingArguments, TrainingJob, checked
    from container_component_src.model.bundle_info import copy_bundle, open_info
    from container_component_src.model.data_access import check_access

    chosen = checked(Hyperparameters, hyperparameters)
    options["model_output_file"] = place(options["model_output_file"], data_root, "run_pytorchjob", "model")
    arguments = checked(TrainingArguments, {**chosen.model_dump(), **options})
    job = checked(TrainingJob, {"arguments": arguments, "timeout": job_timeout})
    if dry_run:
        print_manifest(pods, lambda backend: backend.trainer.manifest(job))
        return
    check_access(arguments)  # for hours this process only waits, and needs the store again in the end
    get_backend(backend_name, pods).trainer.train(job)
    bundle = storage.resolve(arguments.model_output_file)
    info = open_info(bundle.uri)
    if data_root and model_copy_path:
        copy_bundle(bundle, storage.resolve(model_copy_path))
    outputs.publish(executor_input, parameters={"model_uri": bundle.uri}, artifacts={"model": info.metadata()})

"""`run_dask_preprocessing`: raw partitions into one dataset, on a Dask cluster."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.manifests import print_manifests
from container_component_src.steps.data import RunDaskPreprocessing


@step_command(RunDaskPreprocessing)
def run_dask_preprocessing(arguments: RunDaskPreprocessing, executor_input: str) -> None:
    """Write one dataset of the channels of all partitions, sampled reproducibly."""
    from container_component_src import outputs
    from container_component_src.backends.base import get_backend
    from container_component_src.dask_preprocessor.preprocessor import preprocess
    from container_component_src.data_root import place

    if arguments.dry_run:
        print_manifests(arguments.pods, lambda backend: [backend.dask_manifest(arguments)])
        return
    target = place(arguments.df_out_path, arguments.data_root, arguments.command, "dataset")
    with get_backend(arguments.backend, arguments.pods).dask_client(arguments) as client:
        dataset = preprocess(
            arguments.partitioned_telemetry_paths,
            target,
            arguments.timestamp_col,
            arguments.sample_frac,
            arguments.minio_endpoint,
            client,
        )
    outputs.publish(executor_input, datasets={"dataset": dataset})

"""`run_dask_preprocessing`: raw partitions into one dataset, on a Dask cluster."""

from typing import TYPE_CHECKING

import click

from container_component_src.cli.cluster_options import cluster_options, print_manifest
from container_component_src.cli.options import (
    FRACTION,
    PathList,
    WholeNumber,
    backend_option,
    data_root_option,
    executor_input_option,
    minio_endpoint_option,
    timestamp_col_option,
)

if TYPE_CHECKING:
    from container_component_src.cluster.pod_settings import PodSettings


@click.command()
@click.option(
    "--partitioned-telemetry-paths",
    type=PathList(),
    required=True,
    help="Folders written by split_parquet_file, or parquet files: one path, or a JSON list.",
)
@click.option("--sample-frac", type=FRACTION, default=1.0, show_default=True, help="Share of rows to keep, in (0, 1].")
@click.option("--df-out-path", required=True, help="Folder of the dataset; emptied first.")
@data_root_option
@timestamp_col_option
@minio_endpoint_option
@click.option("--num-dask-workers", type=WholeNumber(1), default=2, show_default=True, help="Number of workers.")
@click.option(
    "--min-workers",
    type=WholeNumber(0),
    default=0,
    show_default=True,
    help="Workers that are always there, with --max-workers in place of a fixed number.",
)
@click.option(
    "--max-workers", type=WholeNumber(0), default=0, show_default=True, help="Workers at most, as the work asks for."
)
@cluster_options(image_option="--dask-worker-image")
@backend_option
@executor_input_option
def run_dask_preprocessing(
    partitioned_telemetry_paths: list[str],
    sample_frac: float,
    df_out_path: str,
    data_root: str,
    timestamp_col: str,
    minio_endpoint: str,
    num_dask_workers: int,
    min_workers: int,
    max_workers: int,
    pods: "PodSettings",
    dry_run: bool,
    backend_name: str,
    executor_input: str,
) -> None:
    """Keep the float channels of all partitions, sample them reproducibly and write one dataset."""
    from container_component_src import outputs
    from container_component_src.backends.base import get_backend
    from container_component_src.dask_preprocessor.cluster import ClusterSpec
    from container_component_src.dask_preprocessor.preprocessor import preprocess
    from container_component_src.data_root import place

    spec = ClusterSpec(num_dask_workers, min_workers, max_workers)
    if dry_run:
        print_manifest(pods, lambda backend: backend.dask_manifest(spec))
        return
    target = place(df_out_path, data_root, "run_dask_preprocessing", "dataset")
    with get_backend(backend_name, pods).dask_client(spec) as client:
        dataset = preprocess(partitioned_telemetry_paths, target, timestamp_col, sample_frac, minio_endpoint, client)
    outputs.publish(executor_input, datasets={"dataset": dataset})

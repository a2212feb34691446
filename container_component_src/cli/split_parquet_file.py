"""`split_parquet_file`: one archive into many files of a few row groups."""

import click

from container_component_src.cli.options import (
    WholeNumber,
    data_root_option,
    executor_input_option,
    timestamp_col_option,
)


@click.command()
@click.option("--file-path", required=True, help="The archive.")
@click.option("--target-path", required=True, help="Folder of the files; emptied first.")
@data_root_option
@timestamp_col_option
@click.option("--rowgroup-limit", type=WholeNumber(0), default=0, help="Copy only so many row groups; 0 copies all.")
@click.option("--rowgroups-per-file", type=WholeNumber(1), default=4, show_default=True, help="Row groups in one file.")
@executor_input_option
def split_parquet_file(
    file_path: str,
    target_path: str,
    data_root: str,
    timestamp_col: str,
    rowgroup_limit: int,
    rowgroups_per_file: int,
    executor_input: str,
) -> None:
    """Split an archive into files that workers process side by side."""
    from container_component_src import outputs, storage
    from container_component_src.data_root import place
    from container_component_src.telemetry.partitioning import split_archive

    archive = storage.resolve(file_path).name.removesuffix(".parquet")
    target = place(target_path, data_root, "split_parquet_file", archive)
    split = split_archive(file_path, target, timestamp_col, rowgroup_limit, rowgroups_per_file)
    outputs.publish(executor_input, datasets={"partitions": split})

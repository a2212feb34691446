"""`split_parquet_file`: one archive into many partitions of a few row groups."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import SplitParquetFile


@step_command(SplitParquetFile)
def split_parquet_file(arguments: SplitParquetFile, executor_input: str) -> None:
    """Split an archive into partitions that workers process in parallel."""
    from container_component_src import outputs, storage
    from container_component_src.data_root import place
    from container_component_src.telemetry.archive_files import archive_name
    from container_component_src.telemetry.partitioning import split_archive

    archive = archive_name(storage.resolve(arguments.file_path))
    target = place(arguments.target_path, arguments.data_root, arguments.command, archive)
    split = split_archive(
        arguments.file_path,
        target,
        arguments.timestamp_col,
        arguments.rowgroup_limit,
        arguments.rowgroups_per_file,
        arguments.exclude_channels,
        arguments.copies,
    )
    outputs.publish(executor_input, datasets={"partitions": split})

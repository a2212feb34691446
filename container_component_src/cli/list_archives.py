"""`list_archives`: find the archives below a prefix."""

import click

from container_component_src.cli.options import (
    backend_option,
    data_root_option,
    executor_input_option,
    namespace_option,
    timestamp_col_option,
)


@click.command()
@click.option("--archives-path", required=True, help="Folder or prefix with the parquet archives.")
@click.option("--reports-path", required=True, help="The anomaly reports.")
@data_root_option
@namespace_option
@timestamp_col_option
@backend_option
@executor_input_option
def list_archives(
    archives_path: str,
    reports_path: str,
    data_root: str,
    namespace: str,
    timestamp_col: str,
    backend_name: str,
    executor_input: str,
) -> None:
    """List the archives and fingerprint them and the reports, so that changed data is never answered from the cache.

    With a data root, mark it and the run's folder there: what is wrong with it shows now, and not after hours.
    """
    from container_component_src import outputs, storage
    from container_component_src.data_root import begin_run
    from container_component_src.telemetry import archive

    # The first step of a run does not wait for a store: where none answers, the address is probably wrong.
    with storage.patience(storage.QUICK_SECONDS):
        if data_root:
            begin_run(data_root, namespace if backend_name == "kubernetes" else "")
        archives = archive.list_archives(archives_path, timestamp_col)
        reports_fingerprint = archive.file_fingerprint(reports_path)
    outputs.publish(
        executor_input,
        parameters={
            "archives": [{"uri": item.uri, "fingerprint": item.fingerprint} for item in archives],
            "reports_fingerprint": reports_fingerprint,
        },
    )

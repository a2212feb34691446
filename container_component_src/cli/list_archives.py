"""`list_archives`: find the archives below a prefix, and check everything that later steps need."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import ListArchives
from container_component_src.steps.declaration import Wired


@step_command(ListArchives)
def list_archives(arguments: ListArchives, executor_input: str) -> None:
    """List the archives with a fingerprint of each input, so that changed data never meets old results.

    This is the first step of a run, so it also finds what would otherwise fail after hours: it checks all parameters of
    the pipeline, and marks the data root and the folder of the run there.
    """
    from container_component_src import outputs, run_record, storage
    from container_component_src.data_root import begin_run
    from container_component_src.steps.parameters import check_parameters
    from container_component_src.telemetry import archive

    given = outputs.given_parameters(executor_input)
    wired = {name for name, _, role in arguments.fields() if isinstance(role, Wired)}
    values = {name: value for name, value in given.items() if name not in wired}
    check_parameters(values, arguments.training_pods)
    run = run_record.begin(arguments, values)
    tables = arguments.reports_path, arguments.feedback_path
    # The first step of a run does not wait for a store: if none answers, the address is probably wrong.
    with storage.patience(storage.QUICK_SECONDS):
        if arguments.data_root:
            begin_run(arguments.data_root, arguments.namespace if arguments.backend == "kubernetes" else "")
        archives = archive.list_archives(
            arguments.archives_path, arguments.timestamp_col, tables, arguments.exclude_channels
        )
        reports_fingerprint, feedback_fingerprint = (archive.file_fingerprint(uri) if uri else "" for uri in tables)
    outputs.publish(
        executor_input,
        parameters={
            "archives": [{"uri": item.uri, "fingerprint": item.fingerprint} for item in archives],
            "left_out_columns": archive.left_out_columns(archives),
            "reports_fingerprint": reports_fingerprint,
            "feedback_fingerprint": feedback_fingerprint,
        },
        artifacts={"run": run.metadata()} if arguments.run_path else {},
    )

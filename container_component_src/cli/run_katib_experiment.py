"""`run_katib_experiment`: scaled datasets and a search space into the best hyperparameters."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.manifests import print_manifests
from container_component_src.steps.tuning import RunKatibExperiment, to_dict


@step_command(RunKatibExperiment)
def run_katib_experiment(arguments: RunKatibExperiment, executor_input: str) -> None:
    """Search for the hyperparameters with the smallest validation loss."""
    from container_component_src import outputs, storage
    from container_component_src.backends.base import get_backend
    from container_component_src.model.data_access import check_data
    from container_component_src.steps.sizes import AvailableMemory, largest

    if arguments.dry_run:
        print_manifests(arguments.pods, lambda backend: [backend.tuner.manifest(arguments)])
        return
    processes = arguments.parallel_count if arguments.backend == "local" else 1
    # What no trial could use is reported here, and not by every trial.
    check_data(arguments, AvailableMemory.of_jobs(arguments), largest(arguments), processes)
    result = get_backend(arguments.backend, arguments.pods).tuner.tune(arguments)
    storage.resolve(arguments.trials_path).write_bytes(result.trials_table.encode())
    artifacts = {"trials": result.metadata()}
    if arguments.trials_page_path:
        from container_component_src.report.trials_page import write_trials_page

        artifacts["trials_page"] = write_trials_page(arguments.trials_path, arguments.trials_page_path)
    outputs.publish(
        executor_input,
        parameters={"best_hyperparameters": to_dict(result.best.hyperparameters)},
        artifacts=artifacts,
    )

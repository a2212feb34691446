"""`run_pytorchjob`: the final training, distributed over nodes."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.manifests import print_manifests
from container_component_src.steps.training import RunPyTorchJob


@step_command(RunPyTorchJob)
def run_pytorchjob(arguments: RunPyTorchJob, executor_input: str) -> None:
    """Train with given hyperparameters on several nodes and write the model bundle."""
    from container_component_src import outputs, storage
    from container_component_src.backends.base import get_backend
    from container_component_src.data_root import place
    from container_component_src.model.bundle_info import open_info
    from container_component_src.model.data_access import check_access, check_data
    from container_component_src.steps.sizes import AvailableMemory

    target = place(arguments.model_output_file, arguments.data_root, arguments.command, "model")
    job = arguments.job(target)
    if arguments.dry_run:
        print_manifests(arguments.pods, lambda backend: backend.trainer.manifests(job))
        return
    nodes = arguments.num_gpu_nodes
    processes = nodes if arguments.backend == "local" else 1
    check_data(arguments, AvailableMemory.of_jobs(arguments), arguments.hyperparameters, processes, nodes)
    check_access(job.arguments)  # this process only waits for hours, and needs the store again at the end
    get_backend(arguments.backend, arguments.pods).trainer.train(job)
    bundle = storage.resolve(target)
    info = open_info(bundle.uri)
    outputs.publish(executor_input, artifacts={"model": info.metadata()}, uris={"model": bundle.uri})

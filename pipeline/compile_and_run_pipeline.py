"""Compile the pipeline, and run it: here, on the cluster of this notebook, or on one far away."""

import logging
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:  # run as a script, Python looks for packages beside this file only
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SUBMIT_INSTALLATION = "pip install --require-hashes --requirement requirements-submit.txt"


def not_installed(error: ModuleNotFoundError) -> str:
    """Return the message for a missing library; a missing module of this project is a bug, and raised."""
    if not error.name or error.name.startswith(("container_component_src", "pipeline")):
        raise error
    fix = "use `make run`, which installs everything" if "--local" in sys.argv else SUBMIT_INSTALLATION
    return f"{error.name} is not installed; {fix}"


try:
    import click

    from container_component_src.command_line import run_command, warn
    from container_component_src.errors import InputError
    from container_component_src.names import S3_PREFIXES
    from container_component_src.processes import PROJECT_ROOT
    from container_component_src.settings import Settings, load_settings
    from container_component_src.steps.parameters import check_parameters
    from container_component_src.steps.shared import Origin
    from container_component_src.values import in_home
    from pipeline.options import (
        PIPELINE_FILE,
        HomePath,
        Options,
        check_options,
        config_option,
        parse_parameters,
        trust_options,
    )
    from pipeline.origin import origin_of
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    print(f"error: {not_installed(missing)}", file=sys.stderr)  # noqa: T201 - click may be what is missing
    sys.exit(2)

if TYPE_CHECKING:
    from pipeline.remote.image_tag import ImageTag


@click.command(context_settings={"max_content_width": 120})
@click.option("--local", is_flag=True, help="Run the compiled pipeline on this machine.")
@click.option("--containers", is_flag=True, help="With --local: run every step in a container of the image.")
@click.option("--remote", is_flag=True, help="Submit from outside of the cluster, with the login in .env.")
@click.option("--compile-only", is_flag=True, help="Only compile, for an upload in the Kubeflow UI.")
@click.option(
    "--output",
    type=HomePath(path_type=Path, dir_okay=False),
    default=Path(PIPELINE_FILE),
    show_default=True,
    help="Where --compile-only writes the YAML.",
)
@config_option
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a pipeline parameter.")
@click.option("--no-cache", is_flag=True, help="Run every step, even if an earlier run has its result.")
@click.option(
    "--image-tag", default="", help="Tag of the image; by default IMAGE_TAG, or the short hash of the commit."
)
@click.option(
    "--experiment", default="columbus-eclss-ad", show_default=True, help="Experiment of the run; created if missing."
)
@click.option("--run-name", default="", help="Name of the run, schedule or version; image tag and time by default.")
@click.option("--wait", is_flag=True, help="Wait for the run, and exit with its result.")
@click.option("--retry", "retried_run", default="", metavar="RUN_ID", help="Continue a failed run where it failed.")
@click.option("--upload", is_flag=True, help="Upload the pipeline, or a new version of it, instead of running it.")
@click.option("--schedule", "cron", default="", metavar="CRON", help="Start runs at these times, in UTC.")
@click.option("--list-schedules", is_flag=True, help="List the schedules of the namespace.")
@click.option("--disable-schedule", default="", metavar="NAME", help="Disable the schedule of this name.")
@click.option("--skip-preflight", is_flag=True, help="Submit without checking image and inputs.")
@trust_options
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def compile_and_run_pipeline(context: click.Context, /, **options: Any) -> int:
    """Compile the Columbus ECLSS anomaly detection pipeline, and run it.

    In a Kubeflow notebook no option is needed; --remote, --local and --compile-only are for other places.
    """
    check_options(context)
    try:
        return run(Options(**options))
    except ModuleNotFoundError as error:
        raise InputError(not_installed(error)) from error


def run(options: Options) -> int:
    """Do what the options say.

    Returns:
        The exit code.

    Raises:
        PipelineError: An option, the configuration or a parameter is invalid, or the run cannot be started.
    """
    settings, given = load_settings(options.config_file), parse_parameters(options.parameters)
    backend = {"backend": "local"} if options.local else {}
    sources = dict.fromkeys(settings.parameters.keys() - given.keys(), f"{options.config_file} [parameters]")
    check_parameters({**backend, **settings.parameters, **given}, settings.resources.training, sources)
    from pipeline.compilation import compile_pipeline, with_tag

    if options.local:
        settings = with_tag(settings, options.image_tag) if options.image_tag else settings
        origin = origin_of(settings, options.config_file, PROJECT_ROOT, local=True, containers=options.containers)
        return run_on_this_machine(settings, given, origin, cache=not options.no_cache, containers=options.containers)
    from pipeline.remote.image_tag import resolve_image_tag

    image = resolve_image_tag(options.image_tag, os.environ, settings.image.tag, PROJECT_ROOT)
    settings = with_tag(settings, image.tag)
    origin = origin_of(settings, options.config_file, PROJECT_ROOT, local=False)
    for warning in image.warnings if options.starts_a_run else ():
        warn(warning)
    _check_payload_log(settings)
    if not options.compile_only:
        return run_on_platform(settings, given, origin, options, image)
    from container_component_src.maintenance.checks import check_registries

    compile_pipeline(settings, options.output, not options.no_cache, given, origin)
    click.echo(f"compiled: {options.output}")
    for check in check_registries(settings.images, settings.image.pull_policy):
        warn(f"{check.detail}; {check.fix}")
    if local := _local_paths(settings, given):
        warn(f"no cluster can read {local}, which this machine has; give s3:// addresses in [paths], or to the run")
    return 0


def _check_payload_log(settings: Settings) -> None:
    """Check that the pods of a service can write the payload log.

    Raises:
        InputError: It is a path of this machine.
    """
    uri = settings.platform.payload_log
    if uri and not uri.startswith(S3_PREFIXES):
        problem = f"payload_log {uri}: the pods of a service cannot write to this machine"
        raise InputError(problem, fix="give an s3:// address in [platform]")


def _local_paths(settings: Settings, parameters: dict[str, str]) -> str:
    """Return the inputs of a run that are paths of this machine, as text."""
    paths = settings.paths
    inputs = {"archives_path": paths.archives, "reports_path": paths.reports, "feedback_path": paths.feedback}
    named = {name: str({**inputs, **settings.parameters, **parameters}[name]) for name in inputs}
    return " and ".join(f"{name} {uri}" for name, uri in named.items() if uri and not uri.startswith(S3_PREFIXES))


def run_on_platform(
    settings: Settings, parameters: dict[str, str], origin: Origin, options: Options, image: "ImageTag"
) -> int:
    """Compile the pipeline and submit it, or do what else the options ask of the platform.

    Args:
        settings: The configuration.
        parameters: Pipeline parameters as text.
        origin: What the run says it was compiled from.
        options: The options.
        image: Tag of the image.

    Returns:
        The exit code.
    """
    from pipeline.compilation import compile_pipeline
    from pipeline.login.settings import Trust, read_environment, remote_settings
    from pipeline.remote.submit import CompiledPipeline, RunOptions, disable, retry, show_schedules, submit
    from pipeline.remote.workspace import open_from_notebook, open_remote

    run_options = RunOptions(
        *(options.experiment, options.run_name, options.wait, options.cron, options.upload),
        preflight=not options.skip_preflight,
        retries=settings.limits.retries,
        s3_secret=settings.platform.s3_secret,
        images=settings.images,
        pods=settings.pods(settings.resources.light),
    )
    values = read_environment(PROJECT_ROOT / ".env" if options.remote else None)
    login = remote_settings(values, Trust(options.ca_bundle, not options.insecure)) if options.remote else None
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / PIPELINE_FILE
        # An upload has the parameters as its defaults: whoever starts a run in the UI finds them there.
        compile_pipeline(settings, package, not options.no_cache, parameters if options.upload else None, origin)
        pipeline = CompiledPipeline(package, parameters)  # parameters are checked before a login is asked for
        workspace = open_remote(login) if login else open_from_notebook()
        if options.list_schedules:
            show_schedules(workspace)
        elif options.disable_schedule:
            disable(workspace, options.disable_schedule)
        elif options.retried_run:
            return retry(workspace, options.retried_run, CompiledPipeline(package, {}), run_options)
        else:
            return submit(workspace, pipeline, run_options, image, values, options.remote)
    return 0


def run_on_this_machine(
    settings: Settings, parameters: dict[str, str], origin: Origin, cache: bool, containers: bool = False
) -> int:
    """Compile and run the pipeline locally.

    Args:
        settings: The configuration; its `[parameters]` are overridden by `parameters`.
        parameters: Pipeline parameters as text.
        origin: What the run says it was compiled from.
        cache: Whether steps with unchanged inputs are answered from earlier runs.
        containers: Whether every step runs in a container of the image, with a folder of its own for the outputs.

    Returns:
        The exit code: 0 succeeded, 1 failed, 130 interrupted.

    Raises:
        InputError: Libraries of the steps are not installed.
    """
    if not containers and find_spec("torch") is None:
        raise InputError("--local needs all dependencies", fix="use `make run`, which installs them")
    from pipeline.compilation import compile_pipeline
    from pipeline.local import LocalRunOptions, run_locally

    work_dir = settings.paths.work_dir
    if not work_dir.is_absolute():
        work_dir = PROJECT_ROOT / work_dir
    make_example_data(settings, parameters, work_dir / "example")
    yaml_path = work_dir / PIPELINE_FILE
    compile_pipeline(settings, yaml_path, origin=origin)
    data_root = str(parameters.get("data_root", settings.parameters.get("data_root", settings.paths.data_root)))
    if data_root and "://" not in data_root:  # steps in containers have another working directory
        data_root = str(PROJECT_ROOT / in_home(data_root))
    arguments = {"backend": "local", **parameters, "data_root": data_root}
    image = settings.image.reference if containers else ""
    if image:
        work_dir = work_dir / "containers"
    kept = settings.paths.kept_runs
    return run_locally(
        LocalRunOptions(yaml_path, arguments, work_dir, cache=cache, image=image, kept_runs=kept)
    ).exit_code


def make_example_data(settings: Settings, parameters: dict[str, str], folder: Path) -> None:
    """Generate the example telemetry if this run uses it and it does not exist yet."""
    archives = PROJECT_ROOT / parameters.get("archives_path", settings.paths.archives)
    reports = PROJECT_ROOT / parameters.get("reports_path", settings.paths.reports)
    if archives.parent != folder or (archives.is_dir() and reports.is_file()):
        return
    from container_component_src.example_data import ExampleDataSpec, generate

    click.echo(f"generating example telemetry in {folder} …")
    generate(folder, ExampleDataSpec())


def main(arguments: list[str] | None = None) -> int:
    """Run the command; an error becomes one line on stderr and an exit code.

    Args:
        arguments: Command line without the program name; `sys.argv` by default.
    """
    logging.captureWarnings(True)
    arguments = sys.argv[1:] if arguments is None else arguments
    return run_command(compile_and_run_pipeline, arguments, "compile_and_run_pipeline.py")


if __name__ == "__main__":
    sys.exit(main())

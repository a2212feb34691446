"""Compile the pipeline, and run it: here, on the cluster of this notebook, or on one far away."""

import logging
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

if not __package__:  # run as a script, Python looks for packages beside this file only
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def not_installed(error: ModuleNotFoundError) -> str:
    """What to say where a library is missing; a missing module of this project is a fault of its own, and raised."""
    if not error.name or error.name.startswith(("container_component_src", "pipeline")):
        raise error
    requirements = "requirements.txt" if "--local" in sys.argv else "requirements-submit.txt"
    return f"error: {error.name} is not installed: pip install --requirement {requirements}"


try:
    import click

    from container_component_src.errors import InputError, PipelineError
    from container_component_src.settings import Settings, load_settings
    from container_component_src.steps.parameters import check_parameters
    from pipeline.options import PIPELINE_FILE, check_options, parse_parameters
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    print(not_installed(missing), file=sys.stderr)  # noqa: T201 - click may be what is missing
    sys.exit(2)

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@click.command(context_settings={"max_content_width": 120})
@click.option("--local", is_flag=True, help="Run the compiled pipeline on this machine.")
@click.option("--containers", is_flag=True, help="With --local: run every step in a container of the image.")
@click.option("--remote", is_flag=True, help="Submit from outside of the cluster, with the login in .env.")
@click.option("--compile-only", is_flag=True, help="Only compile, for the upload in the Kubeflow UI.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(PIPELINE_FILE),
    show_default=True,
    help="Where --compile-only writes the YAML.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=PROJECT_ROOT / "config.toml",
    help="Configuration file; config.toml of the project by default.",
)
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a pipeline parameter.")
@click.option("--no-cache", is_flag=True, help="Run every step, whatever earlier runs have left.")
@click.option("--image-tag", default="", help="Tag of the image; else IMAGE_TAG, else the commit's short hash.")
@click.option(
    "--experiment", default="columbus-eclss-ad", show_default=True, help="Gathers the runs; created if absent."
)
@click.option("--run-name", default="", help="Of the run, schedule or version; image tag and time by default.")
@click.option("--wait", is_flag=True, help="Wait for the run, and end as it ends.")
@click.option("--retry", "retried_run", default="", metavar="RUN_ID", help="Let a failed run go on where it failed.")
@click.option("--upload", is_flag=True, help="Upload the pipeline, or a new version of it, instead of running it.")
@click.option("--schedule", "cron", default="", metavar="CRON", help="Start runs at these times, in UTC.")
@click.option("--list-schedules", is_flag=True, help="List the schedules of the namespace.")
@click.option("--disable-schedule", default="", metavar="NAME", help="Disable the schedule of this name.")
@click.option("--skip-preflight", is_flag=True, help="Submit without a look at the inputs.")
@click.option(
    "--ca-bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --remote: PEM file with the authority to trust.",
)
@click.option("--insecure", is_flag=True, help="With --remote: trust any certificate.")
@click.pass_context
def compile_and_run_pipeline(
    context: click.Context,
    local: bool,
    containers: bool,
    remote: bool,
    compile_only: bool,
    output: Path,
    config_file: Path,
    parameters: tuple[str, ...],
    no_cache: bool,
    image_tag: str,
    experiment: str,
    run_name: str,
    wait: bool,
    retried_run: str,
    upload: bool,
    cron: str,
    list_schedules: bool,
    disable_schedule: str,
    skip_preflight: bool,
    ca_bundle: Path | None,
    insecure: bool,
) -> None:
    """Compile the Columbus ECLSS anomaly detection pipeline, and run it.

    In a Kubeflow notebook no option is needed; --remote, --local and --compile-only are for elsewhere.
    """
    check_options(context)
    settings = load_settings(config_file)
    given = parse_parameters(parameters)
    check_parameters({**settings.parameters, **given})
    from pipeline.compilation import compile_pipeline, with_tag

    if local:
        if image_tag:
            settings = with_tag(settings, image_tag)
        sys.exit(run_on_this_machine(settings, given, cache=not no_cache, containers=containers))
    from pipeline.remote.image_tag import resolve_image_tag

    image = resolve_image_tag(image_tag, os.environ, settings.image.tag, PROJECT_ROOT)
    settings = with_tag(settings, image.tag)
    for warning in () if list_schedules or disable_schedule or retried_run else image.warnings:
        click.echo(f"warning: {warning}", err=True)
    if compile_only:
        compile_pipeline(settings, output, not no_cache, given)
        click.echo(f"compiled: {output}")
        return
    from pipeline.login.settings import Trust, read_environment, remote_settings
    from pipeline.remote.submit import CompiledPipeline, RunOptions, disable, retry, show_schedules, submit
    from pipeline.remote.workspace import open_from_notebook, open_remote

    options = RunOptions(
        experiment,
        run_name,
        wait,
        cron,
        upload,
        not skip_preflight,
        retries=settings.limits.retries,
        s3_secret=settings.platform.s3_secret,
    )
    values = read_environment(PROJECT_ROOT / ".env" if remote else None)
    login = remote_settings(values, Trust(ca_bundle, not insecure)) if remote else None
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / PIPELINE_FILE
        compile_pipeline(settings, package, not no_cache)
        pipeline = CompiledPipeline(package, given)  # what does not fit is said before anyone is asked for anything
        workspace = open_remote(login) if login else open_from_notebook()
        if list_schedules:
            show_schedules(workspace)
        elif disable_schedule:
            disable(workspace, disable_schedule)
        elif retried_run:
            sys.exit(retry(workspace, retried_run, CompiledPipeline(package, {}), options))
        else:
            if upload:  # whoever starts a run in the UI finds them as defaults
                compile_pipeline(settings, package, not no_cache, given)
            sys.exit(submit(workspace, pipeline, options, image, values, remote))


def run_on_this_machine(settings: Settings, parameters: dict[str, str], cache: bool, containers: bool = False) -> int:
    """Compile and run the pipeline locally.

    Args:
        settings: The configuration; its `[parameters]` are overridden by `parameters`.
        parameters: Pipeline parameters as text.
        cache: Whether steps whose inputs did not change are answered from earlier runs.
        containers: Whether every step runs in a container of the image; their outputs lie in a folder of their own.

    Returns:
        The exit code: 0 succeeded, 1 failed, 130 interrupted.

    Raises:
        InputError: Libraries of the steps are not installed.
    """
    if not containers and find_spec("torch") is None:
        raise InputError("--local needs all dependencies: pip install --requirement requirements.txt")
    from pipeline.compilation import compile_pipeline
    from pipeline.local import LocalRunOptions, run_locally

    work_dir = settings.paths.work_dir
    if not work_dir.is_absolute():
        work_dir = PROJECT_ROOT / work_dir
    make_example_data(settings, parameters, work_dir / "example")
    yaml_path = work_dir / PIPELINE_FILE
    compile_pipeline(settings, yaml_path)
    data_root = str(parameters.get("data_root", settings.parameters.get("data_root", settings.paths.data_root)))
    if data_root and "://" not in data_root:  # steps in containers have another working directory
        data_root = str(PROJECT_ROOT / Path(data_root).expanduser())
    arguments = {"backend": "local", **parameters, "data_root": data_root}
    image = settings.image.reference if containers else ""
    if image:
        work_dir = work_dir / "containers"
    return run_locally(LocalRunOptions(yaml_path, arguments, work_dir, cache=cache, image=image)).exit_code


def make_example_data(settings: Settings, parameters: dict[str, str], folder: Path) -> None:
    """Generate the example telemetry if this run is to use it and it is not there yet."""
    archives = PROJECT_ROOT / parameters.get("archives_path", settings.paths.archives)
    reports = PROJECT_ROOT / parameters.get("reports_path", settings.paths.reports)
    if archives.parent != folder or (archives.is_dir() and reports.is_file()):
        return
    from container_component_src.example_data import ExampleDataSpec, generate

    click.echo(f"generating example telemetry in {folder} …")
    generate(folder, ExampleDataSpec())


def main() -> int:
    """Run the command; errors become one line on stderr and an exit code."""
    logging.captureWarnings(True)
    try:
        compile_and_run_pipeline.main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return error.exit_code
    except PipelineError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except ModuleNotFoundError as error:
        click.echo(not_installed(error), err=True)
        return 2
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

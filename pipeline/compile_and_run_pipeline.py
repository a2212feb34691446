"""Compile the pipeline, and run it on this machine."""

import logging
import sys
import tempfile
from pathlib import Path

import click

if not __package__:  # run as a script, Python looks for packages beside this file only
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from container_component_src.errors import InputError, PipelineError
from container_component_src.settings import Settings, load_settings

PROJECT_ROOT = Path(__file__).resolve().parents[1]
PIPELINE_FILE = "columbus_eclss_ad_pipeline.yaml"


@click.command(context_settings={"max_content_width": 120})
@click.option("--local", is_flag=True, help="Run the compiled pipeline on this machine.")
@click.option("--containers", is_flag=True, help="With --local: run every step in a container of the image.")
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
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="Override a pipeline parameter.")
@click.option("--no-cache", is_flag=True, help="Run every step, whatever earlier runs have left.")
def compile_and_run_pipeline(
    local: bool,
    containers: bool,
    compile_only: bool,
    output: Path,
    config_file: Path,
    parameters: tuple[str, ...],
    no_cache: bool,
) -> None:
    """Compile the Columbus ECLSS anomaly detection pipeline, and run it."""
    if local == compile_only:
        raise InputError(
            "say what to do with the compiled pipeline: --local runs it here, --compile-only writes the YAML"
        )
    settings = load_settings(config_file)
    if compile_only:
        compile_pipeline(settings, output)
        click.echo(f"compiled: {output}")
        return
    sys.exit(run_on_this_machine(settings, parse_parameters(parameters), cache=not no_cache, containers=containers))


def compile_pipeline(settings: Settings, output: Path) -> None:
    """Write the pipeline as YAML; nothing outside this machine is asked."""
    from kfp import compiler

    from pipeline.pipeline_definition import build_pipeline

    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compile-") as folder:
        unfinished = Path(folder) / PIPELINE_FILE
        compiler.Compiler().compile(build_pipeline(settings), str(unfinished))
        unfinished.replace(output)


def run_on_this_machine(settings: Settings, parameters: dict[str, str], cache: bool, containers: bool = False) -> int:
    """Compile and run the pipeline locally.

    Args:
        settings: The configuration; its `[parameters]` are overridden by `parameters`.
        parameters: Pipeline parameters as text.
        cache: Whether steps whose inputs did not change are answered from earlier runs.
        containers: Whether every step runs in a container of the image; their outputs lie in a folder of their own.

    Returns:
        The exit code: 0 succeeded, 1 failed, 130 interrupted.
    """
    from pipeline.local import LocalRunOptions, run_locally

    work_dir = settings.paths.work_dir
    if not work_dir.is_absolute():
        work_dir = PROJECT_ROOT / work_dir
    make_example_data(settings, parameters, work_dir / "example")
    yaml_path = work_dir / PIPELINE_FILE
    compile_pipeline(settings, yaml_path)
    arguments = {"backend": "local", **settings.parameters, **parameters}
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


def parse_parameters(texts: tuple[str, ...]) -> dict[str, str]:
    """Take `name=value` texts apart.

    Raises:
        InputError: A text has no name or no equals sign.
    """
    parsed = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--param {text!r} is not of the form name=value; write it so")
        parsed[name] = value
    return parsed


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
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

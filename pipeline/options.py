"""The options of `compile_and_run_pipeline.py`, and which of them go together."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from container_component_src.errors import InputError
from container_component_src.processes import PROJECT_ROOT
from container_component_src.values import in_home

PIPELINE_FILE = "columbus-eclss-ad-pipeline.yaml"  # also the name that the UI and --upload propose for the pipeline
_Command = TypeVar("_Command", bound=Callable[..., Any])


class HomePath(click.Path):
    """Path with the home folder for `~`: a shell does not replace it in `--option=~/file`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Replace `~`, refuse what no path can be, and check the rest as click does."""
        if "\0" in str(value):
            self.fail("a path has a null character", param, ctx)
        return super().convert(in_home(str(value)), param, ctx)


def config_option(command: _Command) -> _Command:
    """Add the option that names the configuration."""
    default, kind = PROJECT_ROOT / "config.toml", HomePath(path_type=Path, dir_okay=False)
    text = "Configuration file; config.toml of the project by default."
    return click.option("--config", "config_file", type=kind, default=default, help=text)(command)


def trust_options(command: _Command) -> _Command:
    """Add the options that say which certificates of a platform are trusted."""
    text = "With --remote: PEM file of the certificate authority to trust."
    authority = click.option("--ca-bundle", type=HomePath(path_type=Path), metavar="FILE", help=text)
    return authority(click.option("--insecure", is_flag=True, help="With --remote: trust any certificate.")(command))


@dataclass(frozen=True)
class Options:
    """The values of the options, by the names of the command's parameters."""

    local: bool
    containers: bool
    remote: bool
    compile_only: bool
    output: Path
    config_file: Path
    parameters: tuple[str, ...]
    no_cache: bool
    image_tag: str
    experiment: str
    run_name: str
    wait: bool
    retried_run: str
    upload: bool
    cron: str
    list_schedules: bool
    disable_schedule: str
    skip_preflight: bool
    ca_bundle: Path | None
    insecure: bool
    debug: bool

    @property
    def starts_a_run(self) -> bool:
        """Whether the image and the parameters are used, now or later."""
        return not (self.list_schedules or self.disable_schedule or self.retried_run)


# Options that are not for every place, by the option of their places; the empty name stands for a notebook.
_ON_A_PLATFORM = ("", "remote")
_PLACES: dict[str | None, tuple[str, ...]] = {
    "containers": ("local",),
    "output": ("compile_only",),
    "ca_bundle": ("remote",),
    "insecure": ("remote",),
    "experiment": _ON_A_PLATFORM,
    "run_name": _ON_A_PLATFORM,
    "wait": _ON_A_PLATFORM,
    "retried_run": _ON_A_PLATFORM,
    "upload": _ON_A_PLATFORM,
    "cron": _ON_A_PLATFORM,
    "list_schedules": _ON_A_PLATFORM,
    "disable_schedule": _ON_A_PLATFORM,
    "skip_preflight": _ON_A_PLATFORM,
}
_OF_NEW_RUNS = {
    "parameters",
    "no_cache",
    "image_tag",
    "experiment",
    "run_name",
    "upload",
    "cron",
    "list_schedules",
    "disable_schedule",
    "skip_preflight",
}


def check_options(context: click.Context) -> None:
    """Check that options neither contradict each other nor have no effect.

    Raises:
        InputError: An option does not go with the others.
    """
    given = [
        parameter
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    names = {parameter.name for parameter in given}
    places = names & {"local", "remote", "compile_only"}
    if len(places) > 1:
        raise InputError(
            "--local, --remote and --compile-only exclude each other", fix="give one, or none in a notebook"
        )
    if len(names & {"upload", "cron", "list_schedules", "disable_schedule", "wait"}) > 1:
        raise InputError(
            "--wait, --upload, --schedule, --list-schedules and --disable-schedule exclude each other", fix="give one"
        )
    useless = names & _OF_NEW_RUNS if "retried_run" in names else set()
    if useless:
        option = next(parameter.opts[0] for parameter in given if parameter.name in useless)
        raise InputError(f"{option} has no effect with --retry, which continues a run unchanged", fix="leave it out")
    place = next(iter(places), "") or ""
    for parameter in given:
        if parameter.name in {"cron", "disable_schedule", "retried_run"} and not context.params[parameter.name]:
            raise InputError(f"{parameter.opts[0]} is empty", fix="give it a value, or leave it out")
        allowed = _PLACES.get(parameter.name, (place,))
        if place not in allowed:
            to = " or ".join(f"--{name.replace('_', '-')}" if name else "a notebook" for name in allowed)
            raise InputError(f"{parameter.opts[0]} is for {to}", fix="leave it out, or name the place")


def parse_parameters(texts: tuple[str, ...]) -> dict[str, str]:
    """Split texts of the form `name=value`.

    Raises:
        InputError: A text has no name or no equals sign.
    """
    parsed = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--param {text!r} does not have the form name=value")
        parsed[name] = value
    return parsed

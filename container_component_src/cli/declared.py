"""Click commands from the declarations in `container_component_src.steps`."""

from collections.abc import Callable
from inspect import getdoc
from typing import Any, TypeVar

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from container_component_src import storage
from container_component_src.cluster.step import own_namespace
from container_component_src.errors import InputError
from container_component_src.steps.declaration import Arguments, Option, OutputArtifact, adapter
from container_component_src.steps.description import bounds_of, choices_of, default_of, parse_text, type_of
from container_component_src.steps.shared import Launching, PodSettings
from container_component_src.values import describe, shown, validated

A = TypeVar("A", bound=Arguments)


class FieldType(click.ParamType[Any]):
    """Parses the text of an option as the field of a declaration requires."""

    def __init__(self, field: FieldInfo) -> None:
        self._field = field
        self._adapter = adapter(field)
        self.name = type_of(field)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse and check a value; lists and objects are JSON."""
        try:
            return self._adapter.validate_python(parse_text(self._field, value))
        except InputError as error:
            self.fail(str(error), param, ctx)
        except ValidationError as error:
            self.fail(f"{shown(value)}: {describe(error)}", param, ctx)


def step_command(model: type[A], passed_on: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function that takes its arguments as an object.

    A command with outputs for the pipeline also gets the text of `--executor-input`, which says where they go.

    Args:
        model: Declaration of the arguments.
        passed_on: Whether options that are not declared are left to another parser.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        def run(**options: Any) -> None:
            executor_input = options.pop("executor_input", None)
            arguments = build(model, options)
            _check_outputs(arguments)
            function(arguments) if executor_input is None else function(arguments, executor_input)

        settings = {"ignore_unknown_options": True, "allow_extra_args": True} if passed_on else {}
        return click.Command(
            model.command,
            params=_options(model),
            callback=run,
            help=getdoc(function),
            context_settings=settings,
        )

    return decorate


def build(model: type[A], options: dict[str, Any]) -> A:
    """Build the arguments of a command from the values of its options.

    Raises:
        InputError: The values do not fit each other.
    """
    if issubclass(model, Launching):
        given = {name: options.pop(name) for name, *_ in _pod_fields()}
        pods = options["pods"] or PodSettings()
        if pods.namespace:
            raise InputError("--pods has a namespace", fix="give it with --namespace")
        overriding = {name: value for name, value in given.items() if value is not None}
        options["pods"] = {**pods.model_dump(), **overriding}
    if "namespace" in model.model_fields:
        options["namespace"] = own_namespace(options["namespace"])
    return validated(model, {name: value for name, value in options.items() if value is not None})


def _check_outputs(arguments: Arguments) -> None:
    """Check that the outputs can be written, before the work starts whose results they get.

    Raises:
        InputError: Something else, such as a device, has the path of a file or folder.
    """
    elsewhere = getattr(arguments, "data_root", "")  # of the outputs that the step writes to a store itself
    for name, _, role in arguments.fields():
        if isinstance(role, OutputArtifact) and not (elsewhere and role.by == "uri"):
            folder = role.by == "uri" or role.kind == "Model"
            if uri := getattr(arguments, name):
                storage.resolve(uri).check_output(folder)


def _options(model: type[Arguments]) -> list[click.Parameter]:
    declared = sorted(model.fields(), key=lambda item: not item[1].is_required())  # required ones first
    options: list[click.Parameter] = []
    for name, field, role in declared:
        options.append(_option(name, field, role))
        if issubclass(model, Launching) and name == "pods":
            for pod_name, pod_field, _ in _pod_fields():
                flags = [model.image_option] if pod_name == "image" else []
                options.append(_option(pod_name, pod_field, Option(), flags, overriding=True))
    if model.publishes():
        text = "ExecutorInput as JSON, which the pipeline fills in; without it, outputs are printed."
        options.append(click.Option(["--executor-input"], default="", hidden=True, help=text))
    return options


def _pod_fields() -> list[tuple[str, FieldInfo, Option]]:
    return [item for item in PodSettings.fields() if item[0] != "namespace"]


def _option(
    name: str, field: FieldInfo, role: Option, flags: list[str] | None = None, overriding: bool = False
) -> click.Option:
    """Make the option of a field.

    Args:
        name: Name of the field.
        field: Its declaration.
        role: What the field is to the pipeline.
        flags: Names of the option, if they do not follow from the name of the field.
        overriding: Whether the option overrides a value from elsewhere, so that it has no default of its own.
    """
    flags = flags or [f"--{name.replace('_', '-')}", *role.aliases]
    if role.flag:
        return click.Option([*flags, name], is_flag=True, help=field.description)
    default, bounds = default_of(field), bounds_of(field)
    shown = default not in (None, "", "{}")
    settings: dict[str, Any] = {"required": field.is_required()}
    if overriding:
        settings = {"default": None, "show_default": default if shown else False}
    elif default is not None:
        settings = {"default": default, "show_default": shown}
    return click.Option(
        [*flags, name],
        type=click_type(field),
        envvar=role.envvar or None,
        help=f"{field.description} [{bounds}]" if bounds else field.description,
        **settings,
    )


def click_type(field: FieldInfo) -> click.ParamType[Any]:
    """Return the type of an option: choices are shown, everything else is parsed as the field requires."""
    choices = choices_of(field)
    return click.Choice(choices) if choices else FieldType(field)

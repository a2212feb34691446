"""The steps of the pipeline as KFP components, from the declarations in `container_component_src.steps`.

Every step runs the one image through its command line. Large datasets travel as URIs, because an artifact would be
downloaded whole into each pod; the artifact beside each URI carries metadata and lineage.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from kfp import dsl
from kfp.dsl import base_component
from pydantic.fields import FieldInfo

from container_component_src.steps.declaration import (
    Arguments,
    ArtifactKind,
    InputArtifact,
    Option,
    OutputArtifact,
    Parameter,
    Wired,
)
from container_component_src.steps.description import kind_of, type_of
from container_component_src.steps.parameters import pipeline_parameters
from container_component_src.values import PROGRAM
from pipeline.annotations import JsonList

UNSET_IMAGE = "set-by-the-pipeline"  # the pipeline definition names the image of every task
_NATIVE: dict[type, Any] = {bool: bool, int: int, float: float}


@cache
def component(step: type[Arguments]) -> base_component.BaseComponent:
    """Build the component of a step.

    Its inputs have the names of the step's arguments; artifacts have their own names, and each that the step writes by
    URI comes with an output parameter `NAME_uri`.
    """

    def container(*values: Any) -> dsl.ContainerSpec:
        given = dict(zip(inputs, values, strict=True))
        arguments = [step.command]
        for name, _, role in _passed(step):
            arguments += [f"--{name.replace('_', '-')}", _value(given, name, role)]
        if step.publishes():
            arguments += ["--executor-input", "{{$}}"]
        return dsl.ContainerSpec(image=UNSET_IMAGE, command=[*PROGRAM], args=arguments)

    inputs = interface(step)
    return dsl.container_component(describe_to_kfp(container, step.command, inspect.getdoc(step) or "", inputs))


def interface(step: type[Arguments]) -> dict[str, Any]:
    """Return the annotation of every input and output of a step's component, by name."""
    found: dict[str, Any] = {}
    for name, field, role in _passed(step):
        if isinstance(role, InputArtifact):
            found[role.name] = dsl.Input[_class(role.kind)]
        elif isinstance(role, OutputArtifact):
            found.setdefault(role.name, dsl.Output[_class(role.kind)])
            if role.by == "uri":
                found[f"{role.name}_uri"] = dsl.OutputPath(str)
        else:
            found[name] = annotation_of(field)
    found |= dict.fromkeys(step.cache_keys, str)
    if step.checks_parameters:
        found |= {name: annotation_of(field) for name, field in pipeline_parameters().items() if name not in found}
    found |= {name: dsl.Output[_class(kind)] for name, kind in step.artifacts.items()}
    return found | {name: dsl.OutputPath(kind) for name, kind in step.results.items()}


def annotation_of(field: FieldInfo) -> Any:
    """Return the type by which KFP knows the values of an argument.

    An object is text here: KFP's compiler writes the keys of an object in random order.
    """
    is_list = kind_of(field) is list or type_of(field) == "json list"
    return JsonList if is_list else _NATIVE.get(kind_of(field), str)


def describe_to_kfp(
    function: Callable[..., Any],
    name: str,
    text: str,
    annotations: dict[str, Any],
    defaults: dict[str, Any] | None = None,
    returns: Any = inspect.Signature.empty,
) -> Callable[..., Any]:
    """Give a function the name, docstring and signature from which KFP reads a component or pipeline."""
    kind, defaults = inspect.Parameter.POSITIONAL_OR_KEYWORD, defaults or {}
    parameters = [
        inspect.Parameter(name_, kind, default=defaults.get(name_, inspect.Parameter.empty), annotation=annotation)
        for name_, annotation in annotations.items()
    ]
    function.__name__, function.__doc__ = name, text
    # `inspect.signature` reads this attribute (PEP 362), which the type of functions does not have.
    function.__signature__ = inspect.Signature(parameters, return_annotation=returns)  # type: ignore[attr-defined]
    return function


def _passed(step: type[Arguments]) -> Iterator[tuple[str, FieldInfo, Option]]:
    """Iterate over the arguments that the pipeline passes."""
    roles = (Parameter, Wired, InputArtifact, OutputArtifact)
    return ((name, field, role) for name, field, role in step.fields() if isinstance(role, roles))


def _value(given: dict[str, Any], name: str, role: Option) -> Any:
    if isinstance(role, OutputArtifact) and role.by == "uri":
        return given[role.name].uri
    return given[role.name].path if isinstance(role, InputArtifact | OutputArtifact) else given[name]


def _class(kind: ArtifactKind) -> Any:
    return getattr(dsl, kind)

"""Check pipeline arguments against the types that a compiled pipeline declares."""

from collections.abc import Mapping
from typing import Annotated, Any

from kfp.pipeline_spec import pipeline_spec_pb2
from pydantic import BeforeValidator, Field, StrictStr, TypeAdapter, ValidationError

from container_component_src.errors import InputError
from container_component_src.values import listed, parse_json, shown

LARGEST_INTEGER = 2**53  # KFP stores every number as a double


def parse_arguments(component_spec: Any, values: Mapping[str, object]) -> dict[str, object]:
    """Check argument values against a pipeline's declared inputs and parse those that are text.

    Args:
        component_spec: kfp's ComponentSpec message of the pipeline: `loaded.pipeline_spec.root`.
        values: Argument values by parameter name. Text is parsed by the declared type (lists and structs as JSON);
            other values only have to fit it.

    Returns:
        The values in their declared types; parameters left out stay out, so that their defaults hold.

    Raises:
        InputError: A name is unknown, a value does not fit, or a parameter without a default has no value.
    """
    declared = component_spec.input_definitions.parameters
    for name in values:
        if name not in declared:
            raise InputError(f"unknown pipeline parameter '{name}'", fix=f"use one of {', '.join(sorted(declared))}")
    for name, spec in sorted(declared.items()):
        if name not in values and not spec.is_optional and not spec.HasField("default_value"):
            raise InputError(f"pipeline parameter '{name}' has no default", fix="give it a value")
    return {name: _parse(name, value, declared[name].parameter_type) for name, value in values.items()}


def _parse(name: str, value: object, parameter_type: int) -> object:
    if parameter_type not in _TYPES:
        return value
    expected, adapter = _TYPES[parameter_type]
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise InputError(f"pipeline parameter '{name}' is {shown(value)}", fix=f"give {expected}") from error


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def _json(value: object) -> object:
    return parse_json(value) if isinstance(value, str) else value


def _word(value: object) -> object:
    """Refuse numbers, which pydantic would take for booleans."""
    if not isinstance(value, bool | str):
        raise ValueError("not a boolean")
    return value.strip() if isinstance(value, str) else value


_Integer = Annotated[int, BeforeValidator(_no_boolean), Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
_Number = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]
_List = Annotated[list[Any], BeforeValidator(lambda value: listed(_json(value)))]
_KFP = pipeline_spec_pb2.ParameterType
_TYPES: dict[int, tuple[str, TypeAdapter[Any]]] = {
    _KFP.NUMBER_INTEGER: ("a whole number of at most 2^53", TypeAdapter(_Integer)),
    _KFP.NUMBER_DOUBLE: ("a finite number", TypeAdapter(_Number)),
    _KFP.BOOLEAN: ("true or false", TypeAdapter(Annotated[bool, BeforeValidator(_word)])),
    _KFP.STRING: ("text", TypeAdapter(StrictStr)),
    _KFP.LIST: ("a JSON list", TypeAdapter(_List)),
    _KFP.STRUCT: ("a JSON object", TypeAdapter(Annotated[dict[str, Any], BeforeValidator(_json)])),
}

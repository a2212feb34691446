"""Pipeline arguments given as text, read by the types that the compiled pipeline declares."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2

from container_component_src.errors import InputError

_TYPES = pipeline_spec_pb2.ParameterType
LARGEST_INTEGER = 2**53  # KFP keeps every number as a double
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


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
    if parameter_type not in _PARSERS:
        return value
    expected, parser = _PARSERS[parameter_type]
    try:
        return parser(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"pipeline parameter '{name}' is {value!r}", fix=f"give {expected}") from error


def _integer(value: object) -> int:
    try:
        whole = int(value) if isinstance(value, str) else value
    except ValueError:
        whole = value
    if not isinstance(whole, int) or isinstance(whole, bool):
        number = _number(value)
        whole = int(number)
        if whole != number:
            raise ValueError(value)
    if abs(whole) > LARGEST_INTEGER:
        raise ValueError(value)
    return whole


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError(value)
    return word in _TRUE


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _json_of(kind: type) -> Callable[[object], object]:
    def parse(value: object) -> object:
        parsed = json.loads(value) if isinstance(value, str) else value
        if not isinstance(parsed, kind):
            raise TypeError(value)
        return parsed

    return parse


_PARSERS: dict[int, tuple[str, Callable[[object], object]]] = {
    _TYPES.NUMBER_INTEGER: ("a whole number of at most 2^53", _integer),
    _TYPES.NUMBER_DOUBLE: ("a finite number", _number),
    _TYPES.BOOLEAN: ("true or false", _boolean),
    _TYPES.STRING: ("text", _string),
    _TYPES.LIST: ("a JSON list", _json_of(list)),
    _TYPES.STRUCT: ("a JSON object", _json_of(dict)),
}

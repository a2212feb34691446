"""A declared argument in words: its type, bounds, choices and default."""

import json
import re
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from container_component_src.errors import InputError
from container_component_src.values import listed, parse_json, shown

_NAMES: dict[Any, str] = {bool: "boolean", int: "integer", float: "number"}
_SIGNS: tuple[tuple[Any, str, str], ...] = (
    (Gt, "gt", "above"),
    (Ge, "ge", "at least"),
    (Lt, "lt", "below"),
    (Le, "le", "at most"),
)


def kind_of(field: FieldInfo) -> Any:
    """Return the class of a field's values: the first of a union, without its parameters."""
    kind = field.annotation
    if get_origin(kind) in (Union, UnionType):
        kind = next(option for option in get_args(kind) if option is not type(None))
    return get_origin(kind) or kind


def type_of(field: FieldInfo) -> str:
    """Return the name of a field's type as users know it."""
    kind = kind_of(field)
    if isinstance(kind, type) and issubclass(kind, BaseModel | dict):
        return "json object"
    if kind is tuple and Ellipsis in get_args(field.annotation):
        return "json list"
    return _NAMES.get(kind, "text")


def parse_text(field: FieldInfo, value: object) -> object:
    """Parse the text of a list, an object or a whole number such as `1e3`; leave every other value as it is.

    A number in the place of a list is its only item.

    Raises:
        InputError: The text is not JSON of the kind that the field has.
    """
    kind = type_of(field)
    if not isinstance(value, str):
        return listed(value) if kind == "json list" else value
    if kind == "integer" and re.fullmatch(r"\d+(\.\d*)?[eE]\+?\d{1,2}", value.strip()):
        return float(value)
    if not kind.startswith("json"):
        return value
    try:
        parsed = parse_json(value)
    except ValueError as error:
        raise InputError(f"{shown(value)} is not JSON ({error})", fix=f"give a {kind}") from error
    parsed = listed(parsed) if kind == "json list" else parsed
    if not isinstance(parsed, list if kind == "json list" else dict):
        raise InputError(f"{shown(value)} is not a {kind}")
    return parsed


def choices_of(field: FieldInfo) -> list[str]:
    """Return the texts that a field accepts, or an empty list if it takes others too."""
    kind = kind_of(field)
    if kind is Literal:
        annotation = field.annotation
        members = get_args(annotation) if get_origin(annotation) is Literal else get_args(get_args(annotation)[0])
        return [str(choice) for choice in members]
    return [str(choice.value) for choice in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def described(field: FieldInfo) -> str:
    """Return the description of a field with the values that it accepts."""
    accepted = ", ".join(choices_of(field)) or bounds_of(field)
    return f"{field.description} [{accepted}]" if accepted else str(field.description)


def bounds_of(field: FieldInfo) -> str:
    """Return the bounds of a number, such as `above 0, at most 1`."""
    found = [
        f"{text} {_number(getattr(bound, name))}"
        for bound in field.metadata
        for kind, name, text in _SIGNS
        if isinstance(bound, kind)
    ]
    return ", ".join(found)


def default_of(field: FieldInfo) -> str | None:
    """Return the default as it is written on a command line; None if there is none."""
    value = None if field.is_required() else field.default
    if value is None:
        return None
    if isinstance(value, BaseModel | dict):
        return "{}"
    return json.dumps(list_of(value)) if type_of(field) == "json list" else text_of(value)


def list_of(values: tuple[Any, ...]) -> list[Any]:
    """Return the JSON list of a field's values, in which pairs of numbers are texts such as `128,64`."""
    return [text_of(value) if isinstance(value, tuple) else value for value in values]


def text_of(value: Any) -> str:
    """Return a value as it is written on a command line: `true`, `128,64`."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"

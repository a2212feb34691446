"""General types of the values in configuration files, options and documents, and their validation."""

import re
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from container_component_src.errors import InputError

M = TypeVar("M", bound=BaseModel)

IMAGE_USER = 1000  # user and group ID of the processes in the image
_SHOWN = 10  # errors that a message names
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]?|[KMGTPE]i)")
_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


class Frozen(BaseModel):
    """Base class of values that come from outside: immutable; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def canonical(text: str) -> str:
    """Return a quantity in the canonical form of Kubernetes: `1Gi` for `1024Mi`, `500m` for `0.5`.

    Katib rejects a trial template whose quantities have another form.

    Raises:
        ValueError: The text is not a quantity, or has a precision that Kubernetes does not support.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not a Kubernetes quantity such as 500m or 2Gi")
    suffixes, base = (_BINARY, 1024) if match[2].endswith("i") else (_DECIMAL, 1000)
    exponent = suffixes.index(match[2])
    number = Decimal(match[1]) * base**exponent
    if number % 1:
        raise ValueError(f"{text} has a precision that Kubernetes does not support")
    exponent, value = 0, int(number)
    while value and value % base == 0 and exponent + 1 < len(suffixes):
        exponent, value = exponent + 1, value // base
    return f"{value}{suffixes[exponent]}" if value else "0"


NonEmpty = Annotated[str, Field(min_length=1)]
Hours = Annotated[float, Field(gt=0, le=8760)]  # at most one year
Quantity = Annotated[str, AfterValidator(canonical)]  # of CPU or memory, in the canonical form of Kubernetes


def validated(model: type[M], values: object, source: str = "") -> M:
    """Validate values from outside.

    Args:
        model: The expected type.
        values: Parsed JSON or TOML.
        source: Name of the file or option they come from, for the error message; empty for options by name.

    Raises:
        InputError: The values are invalid; the message names the source and the key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{source}: {describe(error)}" if source else describe(error)) from error


def describe(error: ValidationError) -> str:
    """Return one line that names the invalid keys and what is wrong with each."""
    problems = {
        "missing": "is missing; add it",
        "extra_forbidden": "is not a known key; remove or rename it",
    }
    lines = []
    for item in innermost(error):
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"]).removeprefix(".")
        lines.append(f"key '{key}' {problems.get(item['type'], 'is wrong: ' + item['msg'])}" if key else item["msg"])
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "; ".join([*lines[:_SHOWN], *more])


def innermost(error: ValidationError) -> list[ErrorDetails]:
    """Return the single errors, without those of a list or object whose items have errors of their own."""
    found = error.errors(include_url=False)
    for item in found:
        item["msg"] = item["msg"].removeprefix("Value error, ")
    outer = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
    return [item for item in found if item["loc"] not in outer]

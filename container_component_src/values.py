"""General types of the values in configuration files, options and documents, and their validation."""

import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from container_component_src.errors import InputError, without_logins

M = TypeVar("M", bound=BaseModel)

IMAGE_USER = 1000  # user and group ID of the processes in the image
PROGRAM = ("python", "container_component_src/main.py")  # of every step, from the working folder of the image
LARGEST_ID = 2**31 - 1  # of a user, for Kubernetes
_SHOWN = 10  # errors that a message names
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]?|[KMGTPE]i)", re.ASCII)
_LARGEST = 2**63 - 1  # of the numbers in a quantity of Kubernetes
_LONGEST_ECHO = 100  # characters
_WORD = re.compile(r"[^/\s'\"]+")  # which may be a login even without a scheme before it
_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


class Frozen(BaseModel):  # noqa: PLW1641 - pydantic adds the hash of frozen models
    """Base class of values that come from outside: immutable; unknown keys are an error."""

    # A validator is built when it is first used: a command imports more classes than it uses.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

    def __eq__(self, other: object) -> bool:
        """Compare the fields alone: what cached properties keep may be arrays, whose comparison is no truth value."""
        fields = type(self).model_fields
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in fields)


def canonical(text: str) -> str:
    """Return a quantity in the canonical form of Kubernetes: `1Gi` for `1024Mi`, `500m` for `0.5`.

    Katib rejects a trial template whose quantities have another form.

    Raises:
        ValueError: The text is not a quantity, or has a precision that Kubernetes does not support.
    """
    number, suffixes, base = _parsed(text)
    if number > _LARGEST:
        raise ValueError(f"{text} is larger than any quantity of Kubernetes")
    if number.denominator > 1:
        raise ValueError(f"{text} has a precision that Kubernetes does not support")
    exponent, value = 0, int(number)
    while value and value % base == 0 and exponent + 1 < len(suffixes):
        exponent, value = exponent + 1, value // base
    return f"{value}{suffixes[exponent]}" if value else "0"


def amount(text: str) -> int:
    """Return a quantity as a number, such as 2147483648 for `2Gi`, rounded down.

    Raises:
        ValueError: The text is not a quantity.
    """
    number, suffixes, _ = _parsed(text)
    return int(number if suffixes is _BINARY else number / 1000)


def _parsed(text: str) -> tuple[Fraction, tuple[str, ...], int]:
    """Return a quantity in the smallest unit of its notation, the suffixes of the notation, and their base."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not a Kubernetes quantity such as 500m or 2Gi")
    suffixes, base = (_BINARY, 1024) if match[2].endswith("i") else (_DECIMAL, 1000)
    return Fraction(match[1]) * base ** suffixes.index(match[2]), suffixes, base


def _cpu(text: str) -> str:
    value = canonical(text)
    if not re.fullmatch(r"[1-9]\d*m?", value):
        raise ValueError(f"{text} is not a number of cores: give one below 1000, such as 2 or 500m")
    return value


def _memory(text: str) -> str:
    value = canonical(text)
    if not re.fullmatch(r"[1-9]\d*[MGT]i?|[1-9]\d{6,}", value):
        raise ValueError(f"{text} is not a size of memory: give it in whole Mi or Gi, such as 512Mi or 2Gi")
    return value


def in_home(path: str) -> str:
    """Return a path with the home folder for `~` or `~user` at its start, which only a shell replaces otherwise."""
    return os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser fails for a name that is no user's


NonEmpty = Annotated[str, Field(min_length=1)]
LocalPath = Annotated[Path, AfterValidator(lambda path: Path(in_home(str(path))))]
Hours = Annotated[float, Field(gt=0, le=8760)]  # at most one year
Cpu = Annotated[str, AfterValidator(_cpu)]  # cores, in the canonical form of Kubernetes
Memory = Annotated[str, AfterValidator(_memory)]  # bytes, in the canonical form of Kubernetes


def parse_json(text: str) -> object:
    """Parse JSON that a user gave.

    Raises:
        ValueError: The text is not JSON, or has numbers or a nesting that nothing can use.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(error.msg) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:  # Python limits the digits of integers
        raise ValueError("a number has too many digits") from error


def listed(value: object) -> object:
    """Return the list of a single number; leave every other value as it is."""
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


def shown(value: object) -> str:
    """Return a value as a message repeats it: quoted, cut if it is long, and without the login of an address."""
    text = without_logins(repr(value), _WORD)
    return text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}…"


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

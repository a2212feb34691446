"""Which columns of a table of telemetry are channels, and why others are not."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest

import pyarrow as pa

from container_component_src.errors import InputError
from container_component_src.repetition import first_repeated

EXCLUDED = "excluded by exclude_channels"
EXACT_IN_FLOAT32 = 2**24  # greatest number up to which float32 represents every whole number
WHOLE = {b"whole_numbers": b"true"}  # metadata of a float column whose values are written as whole numbers
OTHER_VALUE = b"other_value"  # metadata of a text column that is one of numbers but for some values: the first of them
_NUMBERS_AND = "numbers and "
_SIMILAR_SHOWN = 3
# Names under which pandas and Dask store row numbers that have no name of their own; a CSV file leaves the name empty.
_ROW_INDEX = re.compile(r"(__index_level_\d+__|__null_dask_index__|Unnamed: \d+|)")

_CHANNEL_KINDS = (
    pa.types.is_floating,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_null,  # of a column without any value, which may have numbers in another archive
)


@dataclass(frozen=True)
class Columns:
    """The columns of a table apart from its timestamps."""

    channels: tuple[str, ...]  # in the order of the table
    left_out: Mapping[str, str]  # why each of the other columns is not a channel, by name
    whole: tuple[str, ...]  # the channels of whole numbers


def check_names(source: str, names: Iterable[str]) -> None:
    """Check that no two columns have the same name.

    Raises:
        InputError: Two have.
    """
    repeated = first_repeated(names)
    if repeated is not None:
        raise InputError(f"{source}: two columns are named '{repeated}'", fix="rename or remove one")


def columns_of(schema: pa.Schema, timestamp_col: str, exclude: Sequence[str] = ()) -> Columns:
    """Divide the columns into channels, which are all columns of numbers or of true and false, and others.

    Args:
        schema: The columns.
        timestamp_col: Name of the timestamp column.
        exclude: Names, or patterns such as `sample_*`, of columns that are not channels although they have numbers.
    """
    index = _index_columns(schema)
    others = [field for field in schema if field.name != timestamp_col]
    reasons = {field.name: _reason(field, index) for field in others}
    numbers = [name for name, reason in reasons.items() if not reason or reason.startswith(_NUMBERS_AND)]
    reasons |= dict.fromkeys((name for name in numbers if _matches(name, exclude)), EXCLUDED)
    return Columns(
        channels=tuple(name for name, reason in reasons.items() if not reason),
        left_out={name: reason for name, reason in reasons.items() if reason},
        whole=tuple(field.name for field in others if not reasons[field.name] and _is_whole(field)),
    )


def check_numbers(source: str, left_out: Mapping[str, str]) -> None:
    """Check that no column is left out because it has numbers and some other values.

    Raises:
        InputError: One is.
    """
    for name, reason in left_out.items():
        if reason.startswith(_NUMBERS_AND):
            raise InputError(
                f"{source}: column '{name}' has {reason}",
                fix="write numbers with a decimal point and leave missing values empty, or exclude the column with "
                "exclude_channels",
            )


def check_excluded(source: str, columns: Iterable[str], exclude: Sequence[str]) -> None:
    """Check that every name or pattern of columns to exclude is that of a column.

    Raises:
        InputError: One is not; the message names similar columns.
    """
    names = sorted({*columns})
    for pattern in exclude:
        if not any(_matches(name, [pattern]) for name in names):
            similar = difflib.get_close_matches(pattern, names, n=_SIMILAR_SHOWN)
            fix = f"did you mean {' or '.join(map(repr, similar))}?" if similar else "correct or remove it"
            raise InputError(f"{source}: no column has the name '{pattern}' of exclude_channels", fix=fix)


def _matches(name: str, exclude: Sequence[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in exclude)


def _index_columns(schema: pa.Schema) -> set[str]:
    """Return the names of the columns that pandas restores as the index of the rows."""
    stored = (schema.pandas_metadata or {}).get("index_columns", [])
    return {name for name in stored if isinstance(name, str)}


def _reason(field: pa.Field, index: set[str]) -> str:
    """Return why a column is not a channel, or "" if it is one."""
    kind = field.type
    if field.name in index or _ROW_INDEX.fullmatch(field.name):
        return "index of the rows"
    if any(is_kind(kind) for is_kind in _CHANNEL_KINDS):
        return ""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        other = (field.metadata or {}).get(OTHER_VALUE, b"").decode()
        return f"{_NUMBERS_AND}{other}" if other else "text"
    if pa.types.is_dictionary(kind):
        return "categories"
    if pa.types.is_temporal(kind):
        return f"times ({kind})"
    return f"not numbers ({kind})"


def _is_whole(field: pa.Field) -> bool:
    return pa.types.is_integer(field.type) or WHOLE.items() <= (field.metadata or {}).items()


def greatest_magnitudes(table: pa.Table, names: tuple[str, ...]) -> dict[str, float]:
    """Return the greatest magnitude in each of the columns; 0 without values."""
    import pyarrow.compute as pc  # noqa: PLC0415 - most tables have no such columns

    found = {name: pc.min_max(table.column(name)).as_py() for name in names}
    return {name: max(abs(ends["min"] or 0), abs(ends["max"] or 0)) for name, ends in found.items()}


def names_and_reasons(left_out: Mapping[str, str]) -> str:
    """Return the names of columns that are not channels, each with its reason."""
    return ", ".join(f"'{name}' ({reason})" for name, reason in left_out.items())


def check_same_channels(
    source: str,
    channels: Sequence[str],
    expected: Sequence[str],
    reference: str,
    fix: str = "use the same columns of numbers in the same order",
    left_out: Mapping[str, str] = {},
) -> None:
    """Compare channel names and their order.

    Args:
        source: What has the channels, for the error message.
        channels: Channel names.
        expected: Names that they must equal.
        reference: What has the expected names, for the error message.
        fix: What the user can do if they differ.
        left_out: Why other columns of the source are not channels, by name.

    Raises:
        InputError: They differ; the message names the first difference.
    """
    if tuple(channels) == tuple(expected):
        return
    missing = [name for name in expected if name not in channels]
    extra = [name for name in channels if name not in expected]
    pairs = enumerate(zip_longest(channels, expected))
    position, (found, wanted) = next((at, pair) for at, pair in pairs if pair[0] != pair[1])
    difference = f"channel {position} is '{found}' instead of '{wanted}'"
    if missing:
        reason = f" ({left_out[missing[0]]})" if missing[0] in left_out else ""
        difference = f"it lacks '{missing[0]}'{reason}"
    elif extra:
        difference = f"it also has '{extra[0]}'"
    raise InputError(f"{source}: channels differ from those of {reference}: {difference}", fix=fix)


def check_columns(source: str, columns: Columns, expected: Sequence[str], reference: str) -> None:
    """Check that the columns of an archive are the channels of another one, in any order.

    Args:
        source: Name of the archive, for the error message.
        columns: Its columns.
        expected: The channels of the other one.
        reference: Name of the other one, for the error message.

    Raises:
        InputError: They are not; the message names the first difference.
    """
    fix = "give all archives the same channels (a column may be empty), or exclude the column with exclude_channels"
    check_same_channels(source, sorted(columns.channels), sorted(expected), reference, fix, columns.left_out)

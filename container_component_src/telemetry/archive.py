"""Archives: files of raw telemetry below a prefix, and the checks of their columns and periods."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from container_component_src import storage
from container_component_src.arrays import Timestamps
from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.telemetry.archive_files import find_archives
from container_component_src.telemetry.arrow import timestamps_of, values_of
from container_component_src.telemetry.columns import (
    EXACT_IN_FLOAT32,
    Columns,
    check_columns,
    check_excluded,
    check_numbers,
    columns_of,
    names_and_reasons,
)
from container_component_src.telemetry.dataset import LABEL_COL
from container_component_src.telemetry.manifest import check_disjoint
from container_component_src.telemetry.tables import Table, open_table
from container_component_src.telemetry.timestamps import to_iso

if TYPE_CHECKING:
    import pandas as pd

_FIRST, _LAST = -(2**63) + 1, 2**63 - 1  # times in nanoseconds since 1970-01-01 UTC; the least number is numpy's NaT
_NAMES_SHOWN = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """One file of raw telemetry."""

    uri: str
    fingerprint: str  # changes if the file does
    left_out: Mapping[str, str]  # why columns are not channels, by name


@dataclass(frozen=True)
class OpenArchive:
    """An archive whose columns are checked; use it in a `with` statement."""

    file: Location
    timestamp_col: str
    table: Table
    columns: Columns

    def __enter__(self) -> "OpenArchive":
        return self

    def __exit__(self, *error: object) -> None:
        self.table.__exit__(*error)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        return self.columns.channels

    def period(self, part: int | None = None) -> tuple[int, int] | None:
        """Return first and last timestamp of one part or of all, as far as they are known without reading all rows.

        Returns:
            Nanoseconds since 1970-01-01 UTC.

        Raises:
            InputError: One is out of the range of nanoseconds.
        """
        found = self.table.ends(self.timestamp_col, part)
        if found and not _FIRST <= found[0] <= found[1] <= _LAST:
            raise _out_of_range(f"{self.file.uri}: column '{self.timestamp_col}'")
        return found


def list_archives(
    uri: str, timestamp_col: str, tables: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[Archive]:
    """Find the archives below a prefix and compare their columns and periods without reading all rows.

    Args:
        uri: A folder or prefix with `*.parquet` or `*.csv` files directly below it, or one such file.
        timestamp_col: Name of the timestamp column.
        tables: The anomaly reports and others; files in the same folder that are no archives. An empty one is ignored.
        exclude: Names or patterns of columns that are not channels (see `columns.columns_of`).

    Returns:
        The archives, sorted by name.

    Raises:
        InputError: There is none, their formats or channels differ, one is unreadable or has no timestamp column,
            periods overlap, or a column to exclude is in none.
    """
    files = find_archives(uri, tables)
    archives: list[Archive] = []
    expected: tuple[str, ...] = ()
    periods: list[tuple[int, int, str]] = []
    for file in files:
        with open_archive(file, timestamp_col, exclude) as archive:
            columns, period = archive.columns, archive.period()
            ends = {name: archive.table.ends(name) for name in columns.whole}
        check_numbers(file.uri, columns.left_out)
        expected = expected or columns.channels
        check_columns(file.uri, columns, expected, files[0].uri)
        warn_of_rounding(file.uri, {name: max(map(abs, found)) for name, found in ends.items() if found})
        if period:
            periods.append((*period, file.uri))
        archives.append(Archive(file.uri, file.fingerprint(), columns.left_out))
    check_disjoint((name, start, end) for start, end, name in sorted(periods))
    left_out = left_out_columns(archives)
    check_excluded(uri, (*expected, *left_out), exclude)
    log_left_out(uri, left_out)
    return archives


def left_out_columns(archives: Sequence[Archive]) -> dict[str, str]:
    """Return why columns of any of the archives are not channels, by name."""
    return {name: reason for archive in archives for name, reason in archive.left_out.items()}


def log_left_out(source: str, left_out: Mapping[str, str]) -> None:
    """Log which columns are not channels, if there are any."""
    if left_out:
        logger.info("%s: columns left out: %s", source, names_and_reasons(left_out))


def warn_of_rounding(source: str, greatest: Mapping[str, float]) -> None:
    """Log a warning about channels of whole numbers that float32 cannot hold; `greatest` has their magnitudes."""
    beyond = [f"'{name}' (up to {value:,.0f})" for name, value in greatest.items() if value > EXACT_IN_FLOAT32]
    if beyond:
        logger.warning(
            "%s: channels are float32, which rounds whole numbers beyond %s, as in %s",
            source,
            f"{EXACT_IN_FLOAT32:,}",
            ", ".join(beyond),
        )


def read_part(uri: str, part: int, timestamp_col: str, channels: Sequence[str]) -> "pd.DataFrame":
    """Read one part of an archive: the timestamp column in UTC, and the channels as float32.

    Raises:
        InputError: The archive is absent or damaged.
    """
    with open_archive(storage.resolve(uri), timestamp_col) as archive:
        return _frame(archive, part, channels)


def read_period(
    uris: Sequence[str], timestamp_col: str, channels: Sequence[str], start: int, end: int
) -> "pd.DataFrame":
    """Read the rows of archives from `start` to before `end`, in nanoseconds since 1970-01-01 UTC.

    Parts whose statistics are outside of the period are not read.

    Returns:
        The columns that `read_part` returns.

    Raises:
        InputError: An archive is absent or damaged.
    """
    import pandas as pd  # noqa: PLC0415 - slow, and only for notebooks

    frames = [pd.DataFrame(columns=[timestamp_col, *channels])]
    for file in map(storage.resolve, uris):
        with open_archive(file, timestamp_col) as archive:
            for part in range(archive.table.parts):
                period = archive.period(part)
                if period is None or (period[0] < end and period[1] >= start):
                    frame = _frame(archive, part, channels)
                    times = frame[timestamp_col].astype(np.int64)
                    frames.append(frame[(times >= start) & (times < end)])
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _frame(archive: OpenArchive, part: int, channels: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - slow, and only for notebooks

    table = archive.table.read([archive.timestamp_col, *channels], [part])
    frame = pd.DataFrame(values_of(table, channels), columns=list(channels))
    times = timestamps_of(table[archive.timestamp_col])
    frame.insert(0, archive.timestamp_col, pd.to_datetime(times, unit="ns", utc=True))
    return frame


def file_fingerprint(uri: str) -> str:
    """Return the fingerprint of any file.

    Raises:
        InputError: There is no such file.
    """
    file = storage.resolve(uri)
    if not file.exists():
        raise InputError(f"{uri}: no such file", fix="check the path")
    return file.fingerprint()


def open_archive(file: Location, timestamp_col: str, exclude: Sequence[str] = ()) -> OpenArchive:
    """Open an archive after checking that it has rows, timestamps with a time zone and at least one channel.

    Args:
        file: The archive.
        timestamp_col: Name of the timestamp column.
        exclude: Names or patterns of columns that are not channels (see `columns.columns_of`).

    Raises:
        InputError: The file is absent, of another format, truncated or empty, or a column is missing or invalid.
    """
    table = open_table(file, timestamp_col)
    uri, schema = file.uri, table.schema
    if table.rows == 0:
        raise InputError(f"{uri}: no rows", fix="remove the file")
    if timestamp_col not in schema.names:
        names = sorted(schema.names, key=lambda name: not pa.types.is_timestamp(schema.field(name).type))
        raise InputError(
            f"{uri}: no timestamp column '{timestamp_col}', only {', '.join(map(repr, names[:_NAMES_SHOWN]))}"
            f"{' and others' if len(names) > _NAMES_SHOWN else ''}",
            fix="name the right column in [col-names] of config.toml, or with --timestamp-col",
        )
    _check_time_type(f"{uri}: column '{timestamp_col}'", schema.field(timestamp_col).type)
    columns = columns_of(schema, timestamp_col, exclude)
    if not columns.channels:
        check_numbers(uri, columns.left_out)
        others = f" ({names_and_reasons(columns.left_out)})" if columns.left_out else ""
        raise InputError(f"{uri}: no channel{others}", fix="store the channels as numbers, and do not exclude all")
    if LABEL_COL in columns.channels:
        raise InputError(f"{uri}: channel '{LABEL_COL}' has the name of the label column", fix="rename or exclude it")
    return OpenArchive(file, timestamp_col, table, columns)


def _check_time_type(column: str, kind: pa.DataType) -> None:
    if not pa.types.is_timestamp(kind):
        unit = "unit='s' or 'ms', " if pa.types.is_integer(kind) or pa.types.is_floating(kind) else ""
        raise InputError(
            f"{column} has type {kind}",
            fix=f"convert it to UTC timestamps, with pandas: pd.to_datetime(column, {unit}utc=True)",
        )
    if kind.tz is None:
        raise InputError(
            f"{column} has no time zone",
            fix="localise it to UTC, with pandas: column.dt.tz_localize('UTC'); in CSV, times end in Z or +00:00",
        )
    try:
        pa.lib.string_to_tzinfo(kind.tz)
    except (ValueError, KeyError) as error:  # the latter is the base of the errors of unknown zones
        raise InputError(f"{column} has the unknown time zone '{kind.tz}'", fix="convert it to UTC") from error


def checked_timestamps(
    column: pa.ChunkedArray, where: str, first_row: int = 0, previous: int | None = None
) -> Timestamps:
    """Return the timestamps of a column after checking that they increase strictly.

    Args:
        column: Timestamps of any unit with a time zone.
        where: File and column, for the error message.
        first_row: Row number of the first value in its file, for the error message.
        previous: Last timestamp before the column, if any.

    Returns:
        Nanoseconds since 1970-01-01 UTC, shape [rows].

    Raises:
        InputError: A timestamp is null, repeated, earlier than the previous one (the message names its row), or out of
            the range of nanoseconds.
    """
    if column.null_count:
        row = first_row + int(column.is_null().index(True).as_py())
        raise InputError(f"{where}: row {row} has no timestamp", fix="remove the row")
    try:
        timestamps = timestamps_of(column)
    except pa.ArrowInvalid as error:
        raise _out_of_range(where) from error
    if len(timestamps) and timestamps.min() < _FIRST:
        raise _out_of_range(where)
    before = np.concatenate([timestamps[:1] - 1 if previous is None else [previous], timestamps[:-1]])
    if (timestamps <= before[: len(timestamps)]).any():
        index = int(np.argmax(timestamps <= before))
        place = f"{where}: row {first_row + index} ({to_iso(int(timestamps[index]))})"
        if timestamps[index] == before[index]:
            raise InputError(f"{place} repeats the timestamp of the previous row", fix="remove the duplicate")
        raise InputError(f"{place} is earlier than the previous row", fix="sort the file by time")
    return timestamps


def _out_of_range(where: str) -> InputError:
    return InputError(f"{where}: a time is not in the years 1678 to 2261", fix="correct it")

"""Archives: parquet files of raw telemetry below a prefix, and the checks of their schemas and timestamps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.arrays import Timestamps
from container_component_src.errors import InputError
from container_component_src.repetition import first_repeated
from container_component_src.storage import Location
from container_component_src.telemetry.archive_files import find_archives
from container_component_src.telemetry.dataset import LABEL_COL, check_disjoint, timestamps_of, to_iso, values_of
from container_component_src.telemetry.parquet import open_parquet, readable

DAMAGED = "check the path, or fetch the file again"  # the fix for an archive that cannot be read


@dataclass(frozen=True)
class Archive:
    """One parquet file of raw telemetry."""

    uri: str
    fingerprint: str  # changes if the file does


def list_archives(uri: str, timestamp_col: str) -> list[Archive]:
    """Find the archives below a prefix and compare their schemas and periods without reading rows.

    Args:
        uri: A folder or prefix with `*.parquet` files directly below it, or one such file.
        timestamp_col: Name of the timestamp column.

    Returns:
        The archives, sorted by name.

    Raises:
        InputError: There is none, one is unreadable or has no timestamp column, channels differ, or periods overlap.
    """
    files = find_archives(uri)
    expected: tuple[str, ...] | None = None
    periods: list[tuple[int, int, str]] = []
    for file in files:
        with open_archive(file, timestamp_col) as archive:
            channels = float_channels(archive.schema_arrow, timestamp_col)
            if period := _period(archive.metadata, timestamp_col, range(archive.num_row_groups)):
                periods.append((*period, file.uri))
        expected = expected or channels
        check_same_channels(file.uri, channels, expected, files[0].uri)
    check_disjoint((name, start, end) for start, end, name in sorted(periods))
    return [Archive(file.uri, file.fingerprint()) for file in files]


def read_row_group(uri: str, group: int, timestamp_col: str, channels: Sequence[str]) -> pd.DataFrame:
    """Read one row group of an archive: the timestamp column in UTC, and the channels as float32.

    Raises:
        InputError: The archive is absent or damaged.
    """
    file = storage.resolve(uri)
    with open_archive(file, timestamp_col) as archive, readable(file, DAMAGED):
        return _frame(archive, group, timestamp_col, channels)


def read_period(uris: Sequence[str], timestamp_col: str, channels: Sequence[str], start: int, end: int) -> pd.DataFrame:
    """Read the rows of archives from `start` to before `end`, in nanoseconds since 1970-01-01 UTC.

    Row groups whose statistics are outside of the period are not read.

    Returns:
        The columns that `read_row_group` returns.

    Raises:
        InputError: An archive is absent or damaged.
    """
    frames = [pd.DataFrame(columns=[timestamp_col, *channels])]
    for file in map(storage.resolve, uris):
        with open_archive(file, timestamp_col) as archive, readable(file, DAMAGED):
            for group in range(archive.num_row_groups):
                period = _period(archive.metadata, timestamp_col, [group])
                if period is None or (period[0] < end and period[1] >= start):
                    frame = _frame(archive, group, timestamp_col, channels)
                    times = frame[timestamp_col].astype(np.int64)
                    frames.append(frame[(times >= start) & (times < end)])
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _frame(archive: pq.ParquetFile, group: int, timestamp_col: str, channels: Sequence[str]) -> pd.DataFrame:
    table = archive.read_row_group(group, columns=[timestamp_col, *channels])
    frame = pd.DataFrame(values_of(table, channels), columns=list(channels))
    frame.insert(0, timestamp_col, pd.to_datetime(timestamps_of(table[timestamp_col]), unit="ns", utc=True))
    return frame


def _period(metadata: pq.FileMetaData, timestamp_col: str, groups: Sequence[int]) -> tuple[int, int] | None:
    """Return first and last timestamp of row groups, nanoseconds since 1970-01-01 UTC; None without statistics."""
    paths = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    column = paths.index(timestamp_col)
    found = [metadata.row_group(group).column(column).statistics for group in groups]
    if not all(statistics is not None and statistics.has_min_max for statistics in found):
        return None
    ends = pd.DatetimeIndex([value for statistics in found for value in (statistics.min, statistics.max)])
    nanoseconds = ends.as_unit("ns").astype(np.int64)
    return int(nanoseconds.min()), int(nanoseconds.max())


def file_fingerprint(uri: str) -> str:
    """Return the fingerprint of any file.

    Raises:
        InputError: There is no such file.
    """
    file = storage.resolve(uri)
    if not file.exists():
        raise InputError(f"{uri}: no such file", fix="check the path")
    return file.fingerprint()


def open_archive(file: Location, timestamp_col: str) -> pq.ParquetFile:
    """Open an archive after checking that it has rows, UTC timestamps and at least one float channel.

    Raises:
        InputError: The file is absent, not parquet, truncated or empty, or a column is missing or invalid.
    """
    archive = open_parquet(file, DAMAGED)
    schema, uri = archive.schema_arrow, file.uri
    repeated = first_repeated(schema.names)
    if repeated is not None:
        raise InputError(f"{uri}: two columns are named '{repeated}'", fix="rename or remove one")
    if not archive.metadata.num_rows:
        raise InputError(f"{uri}: no rows", fix="remove the file")
    if timestamp_col not in schema.names:
        raise InputError(
            f"{uri}: no timestamp column '{timestamp_col}'", fix="name the right column with --timestamp-col"
        )
    kind = schema.field(timestamp_col).type
    if not pa.types.is_timestamp(kind):
        raise InputError(f"{uri}: column '{timestamp_col}' has type {kind}", fix="convert it to UTC timestamps")
    if kind.tz is None:
        raise InputError(f"{uri}: column '{timestamp_col}' has no time zone", fix="localise it to UTC")
    channels = float_channels(schema, timestamp_col)
    if not channels:
        raise InputError(f"{uri}: no float channel", fix="convert the channels to a float type")
    if LABEL_COL in channels:
        raise InputError(f"{uri}: channel '{LABEL_COL}' has the name of the label column", fix="rename it")
    return archive


def float_channels(schema: pa.Schema, timestamp_col: str) -> tuple[str, ...]:
    """Return the names of the float columns in order; other columns are not telemetry channels."""
    return tuple(field.name for field in schema if pa.types.is_floating(field.type) and field.name != timestamp_col)


def check_same_channels(source: str, channels: Sequence[str], expected: Sequence[str], reference: str) -> None:
    """Compare channel names and their order.

    Args:
        source: What has the channels, for the error message.
        channels: Channel names.
        expected: Names that they must equal.
        reference: What has the expected names, for the error message.

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
    if missing or extra:
        difference = f"it lacks '{missing[0]}'" if missing else f"it also has '{extra[0]}'"
    raise InputError(
        f"{source}: channels differ from those of {reference}: {difference}",
        fix="use the same float columns in the same order",
    )


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
        row = first_row + int(np.argmax(column.is_null().to_numpy()))
        raise InputError(f"{where}: row {row} has no timestamp", fix="remove the row")
    try:
        timestamps = timestamps_of(column)
    except pa.ArrowInvalid as error:
        raise InputError(f"{where}: a time is not in the years 1678 to 2261 ({error})", fix="correct it") from error
    steps = np.diff(timestamps, prepend=timestamps[:1] - 1 if previous is None else previous)
    if len(steps) and steps.min() <= 0:
        index = int(np.argmax(steps <= 0))
        place = f"{where}: row {first_row + index} ({to_iso(int(timestamps[index]))})"
        if steps[index] == 0:
            raise InputError(f"{place} repeats the timestamp of the previous row", fix="remove the duplicate")
        raise InputError(f"{place} is earlier than the previous row", fix="sort the file by time")
    return timestamps

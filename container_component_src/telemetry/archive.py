"""Archives: parquet files of raw telemetry, found below a prefix and checked before anything is computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.repetition import first_repeated
from container_component_src.storage import Location
from container_component_src.telemetry.archive_files import find_archives
from container_component_src.telemetry.dataset import LABEL_COL, Timestamps, timestamps_of, to_iso, values_of
from container_component_src.telemetry.parquet import open_parquet, readable

DAMAGED = "check the path, or fetch the file again"


@dataclass(frozen=True)
class Archive:
    """One parquet file of raw telemetry."""

    uri: str
    fingerprint: str  # changes whenever the file does


def list_archives(uri: str, timestamp_col: str) -> list[Archive]:
    """Find the archives below a prefix, and compare their schemas and periods; no rows are read.

    Args:
        uri: A folder or prefix with `*.parquet` files directly below it, or one such file.
        timestamp_col: Name of the timestamp column.

    Returns:
        The archives, sorted by name.

    Raises:
        InputError: There is none, one is unreadable or lacks the timestamp, channels differ, or two share a period.
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
    _check_apart(periods)
    return [Archive(file.uri, file.fingerprint()) for file in files]


def read_row_group(uri: str, group: int, timestamp_col: str, channels: Sequence[str]) -> pd.DataFrame:
    """One row group of an archive as the steps see it: UTC timestamps as a column, and float32 channels.

    Raises:
        InputError: The archive is absent or damaged.
    """
    file = storage.resolve(uri)
    with open_archive(file, timestamp_col) as archive, readable(file, DAMAGED):
        return _frame(archive, group, timestamp_col, channels)


def read_period(uris: Sequence[str], timestamp_col: str, channels: Sequence[str], start: int, end: int) -> pd.DataFrame:
    """The rows of archives from `start` to before `end`, in nanoseconds since 1970 UTC, as `read_row_group` has them.

    Row groups whose statistics lie outside are not read.

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
    """First and last timestamp of row groups, in nanoseconds since 1970 UTC, by statistics; None without them."""
    paths = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    column = paths.index(timestamp_col)
    found = [metadata.row_group(group).column(column).statistics for group in groups]
    if not all(statistics is not None and statistics.has_min_max for statistics in found):
        return None
    ends = pd.DatetimeIndex([value for statistics in found for value in (statistics.min, statistics.max)])
    nanoseconds = ends.as_unit("ns").astype(np.int64)
    return int(nanoseconds.min()), int(nanoseconds.max())


def _check_apart(periods: list[tuple[int, int, str]]) -> None:
    for (_, end, before), (start, _, after) in pairwise(sorted(periods)):
        if start <= end:
            raise InputError(
                f"{after}: starts at {to_iso(start)}, but {before} ends at {to_iso(end)}; "
                "archives may not share rows: cut one of them"
            )


def file_fingerprint(uri: str) -> str:
    """Fingerprint of any one file.

    Raises:
        InputError: There is no such file.
    """
    file = storage.resolve(uri)
    if not file.exists():
        raise InputError(f"{uri}: no such file; check the path")
    return file.fingerprint()


def open_archive(file: Location, timestamp_col: str) -> pq.ParquetFile:
    """Open a parquet file and check that it has UTC timestamps and at least one float channel.

    Raises:
        InputError: It is absent, not parquet, truncated, or lacks one of these columns.
    """
    archive = open_parquet(file, DAMAGED)
    schema = archive.schema_arrow
    repeated = first_repeated(schema.names)
    if repeated is not None:
        raise InputError(f"{file.uri}: two columns are named '{repeated}'; rename or remove one")
    if not archive.metadata.num_rows:
        raise InputError(f"{file.uri}: no rows; leave the file out")
    if timestamp_col not in schema.names:
        raise InputError(f"{file.uri}: no timestamp column '{timestamp_col}'; name the right one with --timestamp-col")
    kind = schema.field(timestamp_col).type
    if not pa.types.is_timestamp(kind):
        raise InputError(f"{file.uri}: column '{timestamp_col}' is of type {kind}; convert it to UTC timestamps")
    if kind.tz is None:
        raise InputError(f"{file.uri}: column '{timestamp_col}' has no time zone; localise it to UTC")
    channels = float_channels(schema, timestamp_col)
    if not channels:
        raise InputError(f"{file.uri}: no float channel; convert the channels to a float type")
    if LABEL_COL in channels:
        raise InputError(f"{file.uri}: channel '{LABEL_COL}' has the name of the label column; rename it")
    return archive


def float_channels(schema: pa.Schema, timestamp_col: str) -> tuple[str, ...]:
    """Names of the float columns, in order; all other columns are not telemetry channels."""
    return tuple(field.name for field in schema if pa.types.is_floating(field.type) and field.name != timestamp_col)


def check_same_channels(uri: str, channels: Sequence[str], expected: Sequence[str], expected_in: str) -> None:
    """Compare channel names and their order.

    Raises:
        InputError: They differ; the message names the first channel that does.
    """
    if tuple(channels) == tuple(expected):
        return
    missing = [name for name in expected if name not in channels]
    surplus = [name for name in channels if name not in expected]
    what = (
        f"lacks '{missing[0]}'" if missing else f"has '{surplus[0]}' besides" if surplus else "orders them differently"
    )
    raise InputError(f"{uri}: channels differ from those of {expected_in}: it {what}; give both the same float columns")


def checked_timestamps(
    column: pa.ChunkedArray, where: str, first_row: int = 0, previous: int | None = None
) -> Timestamps:
    """Timestamps as nanoseconds since 1970 UTC, after a check that they increase strictly.

    Args:
        column: The timestamp column, of any timestamp type with a time zone.
        where: File and column, for the error.
        first_row: Row number of the first value in its file, for the error.
        previous: The last timestamp before these, if any.

    Raises:
        InputError: A timestamp is null, repeated or earlier than the one before (the message names its row), or too far
            from 1970 for nanoseconds.
    """
    if column.null_count:
        row = first_row + int(np.argmax(column.is_null().to_numpy()))
        raise InputError(f"{where}: row {row} has no timestamp; remove the row")
    try:
        timestamps = timestamps_of(column)
    except pa.ArrowInvalid as error:
        raise InputError(f"{where}: a time lies outside the years 1678 to 2261 ({error}); correct it") from error
    steps = np.diff(timestamps, prepend=timestamps[:1] - 1 if previous is None else previous)
    if len(steps) and steps.min() <= 0:
        index = int(np.argmax(steps <= 0))
        fault = "repeats the timestamp of the row before" if steps[index] == 0 else "is earlier than the row before"
        fix = "remove the duplicate" if steps[index] == 0 else "sort the file by time"
        raise InputError(f"{where}: row {first_row + index} ({to_iso(int(timestamps[index]))}) {fault}; {fix}")
    return timestamps

"""Payload log: the rows that a model was asked to score, with its answers, as parquet files in folders of a day.

A file is `ROOT/date=YYYY-MM-DD/FIRST-LAST-UNIQUE.parquet`, where FIRST and LAST are the times of the day in UTC, in
microseconds, at which its first and last rows were received. Files of a period are found by their names alone.
`payload_writer` writes them while a process serves.
"""

import logging
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.arrays import BoolArray, Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.telemetry.arrow import TIMESTAMP_TYPE, values_of
from container_component_src.telemetry.parquet import ParquetTable, open_parquet

RECEIVED: Final = "received"
TIMESTAMP: Final = "timestamp"
VALUE, EXPECTED = "value.", "expected."  # prefixes of the columns of a channel
FIELDS = pa.schema(
    [
        pa.field(RECEIVED, TIMESTAMP_TYPE),
        pa.field(TIMESTAMP, TIMESTAMP_TYPE),
        pa.field("request_id", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("row", pa.int32()),
        pa.field("score", pa.float64()),
        pa.field("smoothed_score", pa.float64()),
        pa.field("alarm", pa.bool_()),
    ]
)
TimeColumn = Literal["received", "timestamp"]

_FOLDER = re.compile(r"date=(\d{4}-\d\d-\d\d)")
_FILE = re.compile(r"(\d{12})-(\d{12})-[0-9a-f]{8}\.parquet")
DAY = 86_400 * 10**9  # nanoseconds
_FIX = "delete it, or move it out of the folder of the payload log"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Payload:
    """Rows of one request, or of a part of a stream, and their answers."""

    received: int  # nanoseconds since 1970-01-01 UTC
    request_id: str
    model_version: str
    rows: IntArray  # their positions in the request, shape [rows]
    values: Float32Array | Float64Array  # engineering units, shape [rows, channels]; not finite: missing
    expected: Float32Array | Float64Array  # reconstruction in engineering units, shape [rows, channels]
    scores: Float32Array | Float64Array  # nats, shape [rows]
    alarms: BoolArray | None = None  # shape [rows]
    smoothed_scores: Float64Array | None = None  # nats, shape [rows]
    timestamps: Timestamps | None = None  # shape [rows]

    @property
    def size(self) -> int:
        """Bytes of the values and the reconstruction, which are most of it."""
        return int(self.values.nbytes + self.expected.nbytes)


@dataclass(frozen=True)
class Period:
    """A half-open period [start, end) in nanoseconds since 1970-01-01 UTC."""

    start: int
    end: int


def write_payloads(root: Location, channels: Sequence[str], payloads: Sequence[Payload]) -> None:
    """Write payloads to one new file for each day on which they were received.

    Args:
        root: Folder of the log.
        channels: Names of the columns of the values.
        payloads: At least one; each has at least one row.

    Raises:
        StepError: The store does not take a file.
        OSError: The disk does not.
    """
    days: dict[int, list[Payload]] = {}
    for payload in sorted(payloads, key=lambda item: item.received):
        days.setdefault(payload.received // DAY, []).append(payload)
    for day, found in days.items():
        name = "-".join(f"{_time_of_day(item.received):%H%M%S%f}" for item in (found[0], found[-1]))
        file = root / f"date={_date(day)}" / f"{name}-{uuid.uuid4().hex[:8]}.parquet"
        table = payload_table(found, channels)
        with file.open_output() as output:
            pq.write_table(table, output, compression="zstd", write_statistics=[RECEIVED, TIMESTAMP])


def read_payload_log(
    uri: str,
    channels: Sequence[str] = (),
    period: Period | None = None,
    *,
    by: TimeColumn = RECEIVED,
    expected: bool = True,
    most_rows: int | None = None,
) -> pa.Table:
    """Return the logged rows of a period, in the order in which they were received.

    Args:
        uri: Folder of the log.
        channels: Channels to read. One that a file lacks, because its model has other channels, is null there.
        period: The period; None for all rows.
        by: Whether the period is about when rows were received or about their timestamps. Rows without a timestamp are
            in no period of timestamps, and every file is opened to find one.
        expected: Whether to read the reconstruction, too.
        most_rows: Read no more than about so many rows, the newest ones; older files are not opened.

    Returns:
        The columns of `FIELDS`, and for each channel `value.CHANNEL` and `expected.CHANNEL` in engineering units.
    """
    tables, rows = [_schema(channels, expected).empty_table()], 0
    for table in newest_payloads(uri, channels, period, by=by, expected=expected):
        tables.append(table)
        rows += table.num_rows
        if most_rows is not None and rows >= most_rows:
            break
    order = [(name, "ascending") for name in (RECEIVED, "request_id", "row")]
    found = pa.concat_tables(tables).sort_by(order)
    return found if most_rows is None else found.slice(max(0, found.num_rows - most_rows))


def newest_payloads(
    uri: str,
    channels: Sequence[str] = (),
    period: Period | None = None,
    *,
    by: TimeColumn = RECEIVED,
    expected: bool = True,
) -> Iterator[pa.Table]:
    """Yield the rows of each file with rows of a period, the newest file first; see `read_payload_log`.

    A file that cannot be read, or was deleted meanwhile, is left out with a warning.
    """
    files = payload_files(storage.resolve(uri), period if by == RECEIVED else None)
    yield from payloads_of(files, channels, period, by=by, expected=expected)


def payloads_of(
    files: Iterable[Location],
    channels: Sequence[str] = (),
    period: Period | None = None,
    *,
    by: TimeColumn = RECEIVED,
    expected: bool = True,
) -> Iterator[pa.Table]:
    """Yield the rows of those of some files that have rows of a period; see `newest_payloads`."""
    schema = _schema(channels, expected)
    for file in files:
        try:
            with ParquetTable(file, open_parquet(file, _FIX), _FIX) as parquet:
                table = _selected(parquet, schema)
        except (InputError, FileNotFoundError) as error:
            logger.warning("payload log: a file is left out: %s", error)
            continue
        if period is not None:
            times = table.column(by).cast(pa.int64())
            table = table.filter(pc.and_(pc.greater_equal(times, period.start), pc.less(times, period.end)))
        if table.num_rows:
            yield table


def payload_table(payloads: Sequence[Payload], channels: Sequence[str]) -> pa.Table:
    """Return payloads as a table with the columns of the log, in their order."""
    schema = _schema(channels)
    if not payloads:
        return schema.empty_table()
    counts = [len(payload.rows) for payload in payloads]

    def of_requests(values: Sequence[Any]) -> pa.Array:
        return pa.array(np.repeat(np.array(values), counts))

    def joined(parts: Sequence[npt.NDArray[Any] | None], kind: type[np.generic]) -> pa.Array:
        present = np.repeat([part is not None for part in parts], counts)
        filled = [np.zeros(n) if part is None else part for part, n in zip(parts, counts, strict=True)]
        return pa.array(np.concatenate([part.astype(kind, copy=False) for part in filled]), mask=~present)

    columns = [
        of_requests([payload.received for payload in payloads]),
        joined([payload.timestamps for payload in payloads], np.int64),
        of_requests([payload.request_id for payload in payloads]),
        of_requests([payload.model_version for payload in payloads]),
        joined([payload.rows for payload in payloads], np.int32),
        joined([payload.scores for payload in payloads], np.float64),
        joined([payload.smoothed_scores for payload in payloads], np.float64),
        joined([payload.alarms for payload in payloads], np.bool_),
        *_per_channel([payload.values for payload in payloads]),
        *_per_channel([payload.expected for payload in payloads]),
    ]
    return pa.table([column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)


def payload_files(root: Location, period: Period | None = None) -> Iterator[Location]:
    """Yield the files of a log that may have rows received in a period, the newest first."""
    for folder in reversed(root.children()):
        day = day_of(folder)
        if day is None or not _may_overlap(day * DAY, (day + 1) * DAY, period):
            continue
        for file in reversed(folder.children()):
            times = _FILE.fullmatch(file.name)
            if times:
                first, last = (day * DAY + _nanoseconds(text) for text in times.groups())
                if not _may_overlap(first, last + 1_000, period):
                    continue
            if file.name.endswith(".parquet"):
                yield file


def day_of(folder: Location) -> int | None:
    """Return the days from 1970-01-01 to that of a folder; None if the folder is none of the log."""
    match = _FOLDER.fullmatch(folder.name)
    try:
        return (date.fromisoformat(match[1]) - date(1970, 1, 1)).days if match else None
    except ValueError:  # such as the 30th of February
        return None


def values_in(table: pa.Table, channels: Sequence[str]) -> Float32Array:
    """Return the values of channels in engineering units, shape [rows, channels]; missing ones are NaN."""
    return values_of(table, [f"{VALUE}{name}" for name in channels])


def expected_in(table: pa.Table, channels: Sequence[str]) -> Float32Array:
    """Return the reconstruction of channels in engineering units, shape [rows, channels]; missing ones are NaN."""
    return values_of(table, [f"{EXPECTED}{name}" for name in channels])


def _per_channel(parts: Sequence[Float32Array | Float64Array]) -> Iterator[pa.Array]:
    """Yield the values of each channel, which are null if they are not finite."""
    with np.errstate(over="ignore"):  # a value beyond 32-bit floats becomes infinite
        values = np.concatenate([part.astype(np.float32, copy=False) for part in parts])
    for column in np.ascontiguousarray(values.T):
        yield pa.array(column, mask=~np.isfinite(column))


def _schema(channels: Sequence[str], expected: bool = True) -> pa.Schema:
    prefixes = (VALUE, EXPECTED) if expected else (VALUE,)
    columns = [pa.field(f"{prefix}{name}", pa.float32()) for prefix in prefixes for name in channels]
    return pa.schema([*FIELDS, *columns])


def _selected(parquet: ParquetTable, schema: pa.Schema) -> pa.Table:
    """Return the columns of a schema; those of channels that the file lacks are null.

    Raises:
        InputError: The file is damaged, or no file of a payload log.
    """
    found = parquet.schema
    for field in FIELDS:
        if field.name not in found.names or found.field(field.name).type != field.type:
            raise InputError(
                f"{parquet.file.uri}: no file of a payload log: column '{field.name}' is missing", fix=_FIX
            )
    names = [name for name in schema.names if name in found.names]
    table = parquet.read(names)
    columns = [
        table.column(field.name).cast(field.type) if field.name in names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _may_overlap(start: int, end: int, period: Period | None) -> bool:
    return period is None or (start < period.end and end > period.start)


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


def _time_of_day(received: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=received // 1_000)


def _nanoseconds(text: str) -> int:
    """Return the time since midnight of a text HHMMSS and microseconds."""
    hours, minutes, seconds, microseconds = (int(part) for part in (text[:2], text[2:4], text[4:6], text[6:]))
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + microseconds * 1_000

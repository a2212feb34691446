"""Sends a file of telemetry to a served model, batch by batch, and gathers the answers in a table."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.errors import InputError, StepError
from container_component_src.serving.client.model_client import ModelClient, ModelDescription
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.timestamps import timestamps_of
from container_component_src.telemetry.parquet import readable

logger = logging.getLogger(__name__)

STDIN = "-"
FORMATS = ("parquet", "csv", "json")
_BYTES_PER_VALUE = 8
_NO_TIMESTAMPS = (
    "%s has no column '%s': each row is scored by itself, without smoothing, so alarms differ from those of rows with "
    "timestamps; name the column of the timestamps with --timestamp-col"
)
_HEADER_ROOM = 100_000  # bytes of a request that are no rows

Times = npt.NDArray[np.int64]  # nanoseconds since 1970 UTC, shape [rows]
Values = npt.NDArray[np.float64]  # engineering units, shape [rows, channels]


@dataclass(frozen=True)
class Query:
    """What is to be asked."""

    source: str  # a file or its URI, or `-`
    source_format: str = ""  # by the content if empty
    timestamp_col: str = "normalizedTime"
    batch_rows: int = 1000
    skip_missing: bool = False  # leave rows out in which a value is missing, instead of refusing the file

    @property
    def name(self) -> str:
        """Of the source, for messages."""
        return "stdin" if self.source == STDIN else self.source


@dataclass(frozen=True)
class Answered:
    """The answers to one batch."""

    table: pd.DataFrame  # a row per row of the batch that was scored
    version: str  # of the model; empty where no row of the batch was scored
    rows_read: int  # so far, those that were left out included
    rows_known: int | None  # in all, where the format tells


def ask(client: ModelClient, query: Query) -> Iterator[Answered]:
    """Send all rows of a file.

    With timestamps, each batch takes along the last rows of the one before, so that scores are those of the whole file.

    Args:
        client: Leads to the model.
        query: What is to be asked.

    Raises:
        InputError: The file is absent, damaged, or lacks a channel; or the server refuses a row.
        StepError: The server does not answer, or in every row a value is missing.
    """
    model = client.describe()
    most = max(1, (model.max_body_bytes - _HEADER_ROOM) // (_BYTES_PER_VALUE * (len(model.channels) + 1)))
    context = _Context(model.context_rows)
    batch_rows = min(query.batch_rows, max(1, most - context.size))
    first = scored = 0
    with _open(query) as file:
        for frame, known in _frames(file, query, batch_rows):
            frame.columns = frame.columns.map(str)  # a table made of an array has numbers for names, parquet has texts
            times, values = _selected(frame, model, query, first)
            if times is None and context.size and not first:
                logger.warning(_NO_TIMESTAMPS, query.name, query.timestamp_col)
            before_times, before = context.add(times, values)
            sent_times = None if times is None else np.concatenate([before_times, times])
            table, version = pd.DataFrame(), ""
            if len(values):
                try:
                    head, outputs = client.score(np.concatenate([before, values]), sent_times)
                except InputError as error:
                    raise InputError(
                        f"{error} (row 0 of the request is row {first - len(before)} of {query.name})"
                    ) from error
                answers = {name: array[len(before) :] for name, array in outputs.items()}
                table, version = _table(query, times, answers), head["model_version"]
            first += len(frame)
            scored += len(values)
            yield Answered(table, version, first, known)
    if first and not scored:
        raise StepError(f"{query.name}: none of {first:,} rows was scored, a value is missing in each; fill them")


class _Context:
    """The last rows before the next batch, where there are timestamps."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._times: Times | None = None
        self._values: Values | None = None

    def add(self, times: Times | None, values: Values) -> tuple[Times, Values]:
        """What goes before these rows; they are remembered in their turn."""
        before_times = np.empty(0, dtype=np.int64) if self._times is None else self._times
        before = values[:0] if self._values is None else self._values
        if times is not None and self.size:
            self._times = np.concatenate([before_times, times])[-self.size :]
            self._values = np.concatenate([before, values])[-self.size :]
        return before_times, before


def write(answers: Iterator[Answered], target: str, seen: Callable[[Answered], None]) -> None:
    """Write answers to a parquet file, which appears when it is whole.

    Args:
        answers: Of `ask`.
        target: The file or its URI.
        seen: Called with each batch.
    """
    writer: pq.ParquetWriter | None = None
    with storage.resolve(target).open_output() as file:
        try:
            for batch in answers:
                seen(batch)
                if batch.table.empty:
                    continue
                table = pa.Table.from_pandas(batch.table, preserve_index=False)
                writer = writer or pq.ParquetWriter(file, table.schema)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()


def _open(query: Query) -> IO[bytes]:
    if query.source == STDIN:
        return io.BytesIO(sys.stdin.buffer.read())
    location = storage.resolve(query.source)
    if not location.is_file():
        raise InputError(f"{location.uri}: no such file; check the path")
    opened: IO[bytes] = location.fs.open(location.path, "rb")
    return opened


def _frames(file: IO[bytes], query: Query, rows: int) -> Iterator[tuple[pd.DataFrame, int | None]]:
    """Rows of a file, so many at a time, and how many it has if that is known."""
    source_format = query.source_format or _format_of(file)
    try:
        if source_format == "parquet":
            with readable(storage.resolve(query.name), "check the file"):
                parquet = pq.ParquetFile(file)
                for batch in parquet.iter_batches(batch_size=rows):
                    # pandas puts a stored index back, where the timestamp may be
                    frame = pa.Table.from_batches([batch]).to_pandas()
                    named = frame.index.name is not None
                    yield (frame.reset_index() if named else frame), parquet.metadata.num_rows
        elif source_format == "csv":
            for frame in pd.read_csv(file, chunksize=rows):
                yield frame, None
        else:
            frame = _json_frame(file.read(), query.timestamp_col)
            for start in range(0, len(frame), rows):
                yield frame.iloc[start : start + rows], len(frame)
    except (ValueError, UnicodeDecodeError) as error:  # what pandas says of damaged text
        raise InputError(f"{query.name}: not readable as {source_format} ({error}); check --input-format") from error


def _format_of(file: IO[bytes]) -> str:
    start = file.read(64)
    file.seek(0)
    if start.startswith(b"PAR1"):
        return "parquet"
    return "json" if start.lstrip()[:1] in (b"{", b"[") else "csv"


def _json_frame(content: bytes, timestamp_col: str) -> pd.DataFrame:
    """A list of rows, an object with `instances` as the V1 protocol has it, or an object per line.

    The `timestamps` of such an object become a column.
    """
    from pydantic_core import from_json  # noqa: PLC0415 - beside what it parses

    try:
        found = from_json(content)
    except ValueError:
        found = [from_json(line) for line in content.splitlines() if line.strip()]
    rows = found.get("instances", [found]) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("rows are objects of named channels")
    frame = pd.DataFrame(rows)
    times = found.get("timestamps") if isinstance(found, dict) and "instances" in found else None
    if times is not None:
        if not isinstance(times, list) or len(times) != len(frame):
            raise ValueError('"timestamps" is no list with one timestamp per row')
        frame[timestamp_col] = pd.Series(times, dtype=object)
    return frame


def _selected(frame: pd.DataFrame, model: ModelDescription, query: Query, first: int) -> tuple[Times | None, Values]:
    """Timestamps, and values of the model's channels, of the rows that are to be sent."""
    missing = [name for name in model.channels if name not in frame.columns]
    if missing:
        raise InputError(f"{query.name}: channel '{missing[0]}' of the model is missing; use telemetry that has it")
    try:
        values = frame.loc[:, list(model.channels)].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InputError(f"{query.name}: a channel holds other things than numbers ({error}); fix it") from error
    whole = np.isfinite(values).all(axis=1)
    if not whole.all() and not query.skip_missing:
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{query.name}: row {first + row}, channel '{model.channels[column]}': no finite value; fill it, "
            "or leave such rows out with --skip-missing"
        )
    times = None
    if query.timestamp_col in frame.columns:
        column_values = frame[query.timestamp_col]
        times = _nanoseconds(column_values, query, first)[whole]
    return times, values[whole]


def _nanoseconds(column: "pd.Series[Any]", query: Query, first: int) -> Times:
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        return np.asarray(pd.DatetimeIndex(column).as_unit("ns").astype(np.int64))
    try:
        return timestamps_of(column.tolist())
    except RequestError as error:
        raise InputError(f"{query.name}: {error} (rows count from row {first} of the file)") from error


def _table(
    query: Query,
    times: Times | None,
    answers: dict[str, npt.NDArray[Any]],
) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    if times is not None:
        columns[query.timestamp_col] = pd.to_datetime(times, unit="ns", utc=True)
    for name, array in answers.items():
        columns[name] = array if array.ndim == 1 else list(array)
    return pd.DataFrame(columns)

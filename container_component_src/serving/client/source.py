"""The telemetry that a client sends: parquet, CSV or JSON, from a file, a URI or stdin."""

import io
import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.arrays import BoolArray, Float64Array, Timestamps
from container_component_src.errors import InputError
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.timestamps import timestamps_of
from container_component_src.steps.serving import TelemetryInput
from container_component_src.telemetry.columns import check_names
from container_component_src.telemetry.csv_table import CsvTable
from container_component_src.telemetry.parquet import ParquetTable, readable
from container_component_src.telemetry.tables import Table

STDIN = "-"


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of the source."""

    first: int  # index of the first row in the source
    rows_read: int  # number of rows up to the end of the batch, including rows with missing values
    rows_known: int | None  # number of rows of the source, if its format says so
    timestamps: Timestamps | None  # shape [rows]
    values: Float64Array  # engineering units, shape [rows, channels]; missing values are NaN
    missing: dict[str, int]  # number of missing values in the rows read, of channels that have any


class Source:
    """The rows of a file or of stdin.

    Args:
        query: Arguments that name and describe the source.
        channels: Channels of the model.
        impute: Whether rows with missing values are sent.
        skip_missing: Whether they are left out if they are not sent; otherwise they are an error.
    """

    def __init__(
        self, query: TelemetryInput, channels: tuple[str, ...], impute: bool = False, skip_missing: bool = False
    ) -> None:
        self.name = "stdin" if query.input == STDIN else query.input
        self._query = query
        self._channels = list(channels)
        self._impute = impute
        self._skip_missing = skip_missing

    def batches(self, rows: int) -> Iterator[Batch]:
        """Iterate over the rows of the source, `rows` at a time.

        Raises:
            InputError: The source is missing or damaged, lacks a channel, or has values or timestamps that are invalid.
        """
        first = 0
        with self._open() as file:
            for frame, rows_known in self._frames(file, rows):
                values = self._values(frame)
                missing = ~np.isfinite(values)
                whole = self._sent(missing, first)
                times = self._query.timestamp_col
                timestamps = self._nanoseconds(frame[times], first)[whole] if times in frame.columns else None
                yield Batch(first, first + len(frame), rows_known, timestamps, values[whole], self._counts(missing))
                first += len(frame)

    def _open(self) -> IO[bytes]:
        if self._query.input == STDIN:
            return io.BytesIO(sys.stdin.buffer.read())
        location = storage.resolve(self.name)
        if not location.is_file():
            raise InputError(f"{location.uri}: no such file", fix="check the path")
        return location.open()

    def _table(self, file: IO[bytes], source_format: str) -> Table:
        if source_format == "csv":
            return CsvTable(self.name, file, self._query.timestamp_col, pa.string())
        location = storage.resolve(self.name)
        with readable(location, "check the file"):
            return ParquetTable(location, pq.ParquetFile(file), "check the file")

    def _frames(self, file: IO[bytes], rows: int) -> Iterator[tuple[pd.DataFrame, int | None]]:
        """Iterate over the tables of the source, with its number of rows if that is known."""
        source_format = self._query.input_format or _format_of(file)
        try:
            if source_format == "json":
                frame = self._json_frame(file.read())
                for start in range(0, len(frame), rows):
                    yield frame.iloc[start : start + rows], len(frame)
                return
            table = self._table(file, source_format)
            check_names(self.name, table.schema.names)
            used = [name for name in table.schema.names if name in (*self._channels, self._query.timestamp_col)]
            for batch in table.batches(rows, columns=used or None):
                yield pa.Table.from_batches([batch]).to_pandas(ignore_metadata=True), table.rows
        except ValueError as error:  # pandas and the JSON parser raise it for damaged text
            raise InputError(
                f"{self.name}: not readable as {source_format} ({error})", fix="check --input-format"
            ) from error

    def _values(self, frame: pd.DataFrame) -> Float64Array:
        """Return the values of the channels, shape [rows, channels]."""
        missing = next((name for name in self._channels if name not in frame.columns), None)
        if missing is not None:
            raise InputError(
                f"{self.name}: channel '{missing}' of the model is missing", fix="use telemetry that has it"
            )
        try:
            return frame.loc[:, self._channels].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.name}: a channel has values that are not numbers ({error})", fix="correct them"
            ) from error

    def _sent(self, missing: BoolArray, first: int) -> BoolArray:
        """Return which rows are to be sent, shape [rows].

        Args:
            missing: Which values are missing, shape [rows, channels].
            first: Index of the first row in the source.
        """
        if self._impute:
            return np.ones(len(missing), dtype=np.bool_)
        if missing.any() and not self._skip_missing:
            row, column = np.argwhere(missing)[0]
            raise InputError(
                f"{self.name}: row {first + row}, channel '{self._channels[column]}': not a finite number",
                fix="fill it, leave such rows out with --skip-missing, or have it imputed with --impute-missing",
            )
        return np.asarray(~missing.any(axis=1))

    def _counts(self, missing: BoolArray) -> dict[str, int]:
        counts = zip(self._channels, missing.sum(axis=0).tolist(), strict=True)
        return {name: count for name, count in counts if count}

    def _nanoseconds(self, column: "pd.Series[pd.Timestamp]", first: int) -> Timestamps:
        if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
            if column.hasnans:
                row = first + int(column.isna().argmax())
                raise InputError(f"{self.name}: row {row} has no timestamp", fix="remove or correct it")
            return np.asarray(pd.DatetimeIndex(column).as_unit("ns").astype(np.int64))
        try:
            return timestamps_of(column.tolist(), len(column))
        except RequestError as error:
            raise InputError(f"{self.name}: {error} (rows count from row {first} of the file)") from error

    def _json_frame(self, content: bytes) -> pd.DataFrame:
        """Return the table in a list of rows, in the body of a V1 request, or in one object per line.

        The `timestamps` of a V1 request become a column.

        Raises:
            ValueError: The content is none of these.
        """
        try:
            found = self._parsed(content)
        except ValueError:
            found = [self._parsed(line) for line in content.splitlines() if line.strip()]
        rows = found.get("instances", [found]) if isinstance(found, dict) else found
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("rows must be objects of named channels")
        frame = pd.DataFrame(rows)
        times = found.get("timestamps") if isinstance(found, dict) and "instances" in found else None
        if times is not None:
            if not isinstance(times, list) or len(times) != len(frame):
                raise ValueError('"timestamps" must be a list with one timestamp per row')
            frame[self._query.timestamp_col] = pd.Series(times, dtype=object)
        return frame

    def _parsed(self, text: bytes) -> Any:
        """Return the content of JSON; raise ValueError if it is none."""

        def row(pairs: list[tuple[str, object]]) -> dict[str, object]:
            check_names(self.name, (name for name, _ in pairs))
            return dict(pairs)

        try:
            return json.loads(text, object_pairs_hook=row)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error


def _format_of(file: IO[bytes]) -> str:
    start = file.read(64)
    file.seek(0)
    if start.startswith(b"PAR1"):
        return "parquet"
    return "json" if start.removeprefix(BOM_UTF8).lstrip()[:1] in (b"{", b"[") else "csv"

"""Queries: sends telemetry to a served model in batches and collects the answers in tables."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import InputError, StepError
from container_component_src.serving.client.model_client import ModelClient, ModelDescription
from container_component_src.serving.client.source import Batch, Source
from container_component_src.steps.serving import QueryModel

logger = logging.getLogger(__name__)

_BYTES_PER_VALUE = 8
_HEADER_BYTES = 100_000  # reserved in a request for everything but the rows


@dataclass(frozen=True)
class Answered:
    """The answers to one batch."""

    table: pd.DataFrame  # one row per scored row of the batch
    version: str  # of the model; empty if no row of the batch was scored
    rows_read: int  # number of rows up to the end of the batch, including rows with missing values
    rows_known: int | None  # number of rows of the source, if its format says so


def ask(client: ModelClient, query: QueryModel) -> Iterator[Answered]:
    """Send all rows of a source and iterate over the answers to each batch.

    With timestamps, each request repeats the last rows of the previous one, so that the scores are the same as if all
    rows were sent at once.

    Args:
        client: Connection to the model.
        query: Arguments that describe the source and the requests.

    Raises:
        InputError: The source is missing or damaged or lacks a channel, or the server refuses a row.
        StepError: The server does not answer, or every row has a missing value.
    """
    model = client.describe()
    source = Source(query, model.channels)
    context = _Context(model.context_rows)
    read = scored = 0
    for batch in source.batches(_batch_rows(model, query.batch_rows)):
        if batch.timestamps is None and context.size and not batch.first:
            logger.warning(
                "%s has no column '%s': each row is scored by itself, without smoothing, so alarms differ from those "
                "of rows with timestamps; name the column of the timestamps with --timestamp-col",
                source.name,
                query.timestamp_col,
            )
        table, version = pd.DataFrame(), ""
        if len(batch.values):
            answers, version = _send(client, batch, context, source.name)
            table = _table(query, batch.timestamps, answers)
        read, scored = batch.rows_read, scored + len(batch.values)
        yield Answered(table, version, batch.rows_read, batch.rows_known)
    if read and not scored:
        raise StepError(
            f"{source.name}: none of {read:,} rows was scored, because each has a missing value", fix="fill them"
        )


def write(answers: Iterator[Answered], target: str, seen: Callable[[Answered], None]) -> None:
    """Write answers to a parquet file, which appears when it is complete.

    Args:
        answers: Result of `ask`.
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


class _Context:
    """The last rows of the previous batches, if they have timestamps.

    Args:
        size: Number of rows to keep.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._timestamps: Timestamps | None = None
        self._values: Float64Array | None = None

    def extend(self, batch: Batch) -> tuple[Timestamps | None, Float64Array]:
        """Return timestamps and values of the context and the batch, whose last rows are the next context."""
        if batch.timestamps is None:
            return None, batch.values
        timestamps, values = batch.timestamps, batch.values
        if self._timestamps is not None and self._values is not None:
            timestamps = np.concatenate([self._timestamps, timestamps])
            values = np.concatenate([self._values, values])
        if self.size:
            self._timestamps, self._values = timestamps[-self.size :], values[-self.size :]
        return timestamps, values


def _batch_rows(model: ModelDescription, requested: int) -> int:
    """Return the number of rows per request, which must fit into the body with the context."""
    row_bytes = _BYTES_PER_VALUE * (len(model.channels) + 1)
    most = max(1, (model.max_body_bytes - _HEADER_BYTES) // row_bytes)
    return min(requested, max(1, most - model.context_rows))


def _send(client: ModelClient, batch: Batch, context: _Context, source: str) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Return the answers to the rows of a batch, and the version of the model."""
    timestamps, values = context.extend(batch)
    before = len(values) - len(batch.values)
    try:
        head, outputs = client.score(values, timestamps)
    except InputError as error:
        raise InputError(f"{error} (row 0 of the request is row {batch.first - before} of {source})") from error
    return {name: array[before:] for name, array in outputs.items()}, head["model_version"]


def _table(query: QueryModel, timestamps: Timestamps | None, answers: dict[str, npt.NDArray[Any]]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    if timestamps is not None:
        columns[query.timestamp_col] = pd.to_datetime(timestamps, unit="ns", utc=True)
    for name, array in answers.items():
        columns[name] = array if array.ndim == 1 else list(array)
    return pd.DataFrame(columns)

"""Queries: sends telemetry to a served model in batches and collects the answers in tables."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from container_component_src.alarms.alarm import Alarm
from container_component_src.arrays import Timestamps
from container_component_src.errors import InputError, StepError
from container_component_src.serving.client.alarm_finder import AlarmFinder
from container_component_src.serving.client.consecutive import NAMES, ConsecutiveRows, Outputs, request_rows
from container_component_src.serving.client.model_client import ModelClient
from container_component_src.serving.client.source import Batch, Source
from container_component_src.steps.serving import QueryModel

logger = logging.getLogger(__name__)

_CHANNEL_LISTS = {"imputed": "imputed_channels", "dead": "dead_channels"}  # output: column with the names in each row
_SHOWN = 3  # channels that a message names


@dataclass(frozen=True)
class Answered:
    """The answers to one batch."""

    table: pd.DataFrame  # one row per scored row of the batch
    version: str  # of the model; empty if no row of the batch was scored
    rows_read: int  # number of rows up to the end of the batch, including rows with missing values
    rows_known: int | None  # number of rows of the source, if its format says so
    missing: dict[str, int]  # number of missing values in the rows read, of channels that have any
    alarms: Sequence[Alarm] | None = None  # that have ended since the last batch; None: alarms cannot be found


def ask(client: ModelClient, query: QueryModel) -> Iterator[Answered]:
    """Send all rows of a source and iterate over the answers to each batch; the last has no rows, but alarms.

    With timestamps, each request repeats the last rows of the previous one, so that scores and alarms are the same as
    if all rows were sent at once.

    Args:
        client: Connection to the model.
        query: Arguments that describe the source and the requests.

    Raises:
        InputError: The source is missing or damaged or lacks a channel, the server refuses a row, or alarms are to be
            written and cannot be found.
        StepError: The server does not answer, or no row was scored.
    """
    model = client.describe()
    impute = query.imputes(model.impute_missing)
    source = Source(query, model.channels, impute, query.skip_missing)
    rows, finder = ConsecutiveRows(client, model, impute), AlarmFinder(model.alarm_source)
    read = scored = 0
    missing: Counter[str] = Counter()  # values by channel
    for batch in source.batches(request_rows(model, query.batch_rows)):
        if batch.timestamps is None and not batch.first:
            _warn_without_timestamps(source.name, query)
        table, version, alarms = pd.DataFrame(), "", None
        if len(batch.values):
            answers, version = _send(rows, batch, source.name)
            if version != model.version:
                raise StepError(f"{source.name}: another model was deployed during the query", fix="run it again")
            alarms = finder.push(batch.timestamps, answers)
            table = _table(query, batch.timestamps, answers)
        read, scored = batch.rows_read, scored + len(batch.values)
        missing.update(batch.missing)
        yield Answered(table, version, batch.rows_read, batch.rows_known, batch.missing, alarms)
    if not read:
        raise StepError(f"{source.name}: no row was scored, because there is none", fix="check --input")
    if not scored:
        raise StepError(
            f"{source.name}: none of {read:,} rows was scored, because each lacks a value ({counted(missing)})",
            fix="have missing values imputed with --impute-missing",
        )
    alarms = finder.finish()
    if alarms is None and query.alarms:
        raise InputError("the server is a predictor, which finds no alarms", fix="ask the transformer with --url")
    yield Answered(pd.DataFrame(), "", read, read, {}, alarms)


def _warn_without_timestamps(source: str, query: QueryModel) -> None:
    if query.alarms:
        raise InputError(
            f"{source}: no column '{query.timestamp_col}', and there are no alarms without timestamps",
            fix="name the column of the timestamps with --timestamp-col, or leave out --alarms",
        )
    logger.warning(
        "%s has no column '%s': each row is scored by itself, without smoothing, and neither alarms nor dead channels "
        "are found; name the column of the timestamps with --timestamp-col",
        source,
        query.timestamp_col,
    )


def counted(rows: Counter[str]) -> str:
    """Return the channels with the most rows, and these rows, as text."""
    shown = ", ".join(f"{name}: {count:,} rows" for name, count in rows.most_common(_SHOWN))
    return shown + (f", and {len(rows) - _SHOWN} more channels" if len(rows) > _SHOWN else "")


def _send(rows: ConsecutiveRows, batch: Batch, source: str) -> tuple[Outputs, str]:
    """Return the answers to the rows of a batch, and the version of the model."""
    before = 0 if batch.timestamps is None else len(rows.context.timestamps)
    try:
        return rows.push(batch.timestamps, batch.values)
    except InputError as error:
        raise InputError(f"{error} (row 0 of the request is row {batch.first - before} of {source})") from error


def _table(query: QueryModel, timestamps: Timestamps | None, answers: Outputs) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    if timestamps is not None:
        columns[query.timestamp_col] = pd.to_datetime(timestamps, unit="ns", utc=True)
    names = answers.pop(NAMES, None)
    for name, array in answers.items():
        if names is not None and name in _CHANNEL_LISTS:
            columns[_CHANNEL_LISTS[name]] = [names[row].tolist() for row in array]
        else:
            columns[name] = array if array.ndim == 1 else list(array)
    return pd.DataFrame(columns)

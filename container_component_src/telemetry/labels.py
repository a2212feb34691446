"""Labels from anomaly reports: which rows lie in a reported anomaly."""

import logging
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.settings import ReportColumns
from container_component_src.telemetry.dataset import Dataset, Frame, Timestamps, to_iso
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event

logger = logging.getLogger(__name__)

REPORT_TIME_FORMAT = "%Y/%j/%H:%M:%S"
_HEADER_ROWS = 1  # for row numbers as a spreadsheet shows them


def label_dataset(
    dataset_uri: str, reports_uri: str, target_uri: str, columns: ReportColumns, strict: bool = True
) -> Dataset:
    """Write the label series of a dataset, with the same partitions and timestamps.

    Args:
        dataset_uri: The telemetry.
        reports_uri: The anomaly reports.
        target_uri: Folder of the label series; its manifest carries the events that have rows in the data.
        columns: Headers of the report table.
        strict: Whether overlapping events and events outside the data are errors. If not, overlapping ones are kept,
            and those outside are left out and counted.

    Raises:
        InputError: A report is wrong (see `read_reports`), or no anomaly has a row in the data.
    """
    dataset = Dataset.open(dataset_uri)
    partitions = dataset.manifest.partitions
    reported = read_reports(reports_uri, columns, strict)
    inside = [event for event in reported if event.end > partitions[0].start and event.start <= partitions[-1].end]
    outside = [event for event in reported if event not in inside]
    span = f"{to_iso(partitions[0].start)} to {to_iso(partitions[-1].end)}"
    if strict and outside and inside:
        raise InputError(
            f"{reports_uri}: event {outside[0].id} ({to_iso(outside[0].start)}) lies outside the data ({span}); "
            "remove it, or leave such events out with --strict-reports false"
        )
    rows = np.zeros(len(inside), dtype=np.int64)
    with DatasetWriter(target_uri, dataset.manifest.timestamp_col, (), sources=[dataset.location]) as target:
        for frame in dataset.frames(channels=()):
            target.write(Frame(frame.timestamps, frame.values, inside_any(frame.timestamps, inside).astype(np.int8)))
            rows += rows_of(frame.timestamps, inside)
        events = tuple(event for event, count in zip(inside, rows, strict=True) if count)
        if not events:
            raise InputError(
                f"{reports_uri}: no reported anomaly has a row in the data ({span}); check both time ranges"
            )
        notes = {
            "events": len(events),
            "events_outside": len(outside),
            "events_without_rows": len(inside) - len(events),
        }
        logger.info("%d of %d reported events have rows in the data", len(events), len(reported))
        return target.commit(events=events, notes=notes)


def read_reports(uri: str, columns: ReportColumns, strict: bool = True) -> list[Event]:
    """Read the report table, one event a row.

    Returns:
        The events, sorted by start.

    Raises:
        InputError: The file is unreadable, lacks a column, has no rows, a bad or missing time, an end that is not after
            its start, or (if strict) events that overlap. The message names file, row and column.
    """
    table = _read_table(uri, columns)
    start, end = (_parse_times(uri, table[name]) for name in (columns.start, columns.end))
    events = [
        Event(id=row[columns.id], symbol=row[columns.symbol], title=row[columns.title], start=begin, end=finish)
        for row, begin, finish in zip(table.to_dict("records"), start, end, strict=True)
    ]
    for row, event in zip(table.index, events, strict=True):
        if event.end <= event.start:
            fault = f"'{columns.end}' is not after '{columns.start}'"
            raise InputError(f"{uri}: row {row} (event {event.id}): {fault}; correct the times")
    events.sort(key=lambda event: (event.start, event.end, event.id))
    for before, after in pairwise(events):
        if strict and after.start < before.end:
            raise InputError(
                f"{uri}: events {before.id} and {after.id} overlap (from {to_iso(after.start)}); "
                "join them in the report, or allow it with --strict-reports false"
            )
    return events


def inside_any(timestamps: Timestamps, events: Sequence[Event], margin: int = 0) -> npt.NDArray[np.bool_]:
    """Which rows lie in an event, widened by a margin on both sides.

    Args:
        timestamps: Shape [rows], any order.
        events: Half-open intervals; they may overlap.
        margin: Nanoseconds.

    Returns:
        Shape [rows].
    """
    starts = np.sort(np.array([event.start - margin for event in events], dtype=np.int64))
    ends = np.sort(np.array([event.end + margin for event in events], dtype=np.int64))
    # As many intervals are open at a time as have started by then and not ended.
    return np.searchsorted(starts, timestamps, side="right") > np.searchsorted(ends, timestamps, side="right")


def rows_of(timestamps: Timestamps, events: Sequence[Event]) -> npt.NDArray[np.int64]:
    """How many of the sorted timestamps lie in each event, shape [events]."""
    bounds = np.array([(event.start, event.end) for event in events], dtype=np.int64).reshape(-1, 2)
    positions = np.searchsorted(timestamps, bounds, side="left")
    return np.asarray(positions[:, 1] - positions[:, 0], dtype=np.int64)


def _read_table(uri: str, columns: ReportColumns) -> pd.DataFrame:
    """The report table as text, indexed by the row numbers of the file."""
    file = storage.resolve(uri)
    suffix = "." + file.name.rsplit(".", 1)[-1].lower()
    if suffix not in _READERS:
        raise InputError(f"{uri}: reports must be {', '.join(_READERS)}; convert the file")
    content = file.read_bytes()
    try:
        table = _READERS[suffix](BytesIO(content), dtype=str, keep_default_na=False)
    # Every reader has errors of its own for a damaged file, with no common base below Exception.
    except Exception as error:
        raise InputError(f"{uri}: not readable as {suffix} ({error}); save the table again") from error
    for name in (columns.id, columns.symbol, columns.title, columns.start, columns.end):
        if name not in table.columns:
            raise InputError(f"{uri}: no column '{name}'; add it or change [col-names] in config.toml")
    table.index += _HEADER_ROWS + 1
    table = table.fillna("").map(str.strip)
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise InputError(f"{uri}: no rows; a test set needs at least one reported anomaly")
    return table


def _read_csv(content: BytesIO, **options: Any) -> pd.DataFrame:
    """A CSV file, whose lines may end with a delimiter; blank lines count as rows, as in a spreadsheet."""
    table: pd.DataFrame = pd.read_csv(content, index_col=False, skip_blank_lines=False, **options)
    return table


_READERS: dict[str, Callable[..., pd.DataFrame]] = {".csv": _read_csv, ".xls": pd.read_excel, ".xlsx": pd.read_excel}


def _parse_times(uri: str, column: "pd.Series[str]") -> list[int]:
    times = pd.to_datetime(column, format=REPORT_TIME_FORMAT, utc=True, errors="coerce")
    times = times.where(times.dt.strftime("%Y") == column.str[:4])  # day 366 of a common year would be the next year's
    if times.isna().any():
        row = times.isna().idxmax()
        text = column.loc[row]
        fault = f"'{text}' is not a time of the form {REPORT_TIME_FORMAT}" if text else "no time is given"
        raise InputError(f"{uri}: row {row}, column '{column.name}': {fault}; correct the report")
    return [int(time.value) for time in times]

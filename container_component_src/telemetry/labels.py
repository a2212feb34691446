"""Labels from anomaly reports: 1 for rows in a reported anomaly, 0 for others."""

import logging
from collections.abc import Sequence

import numpy as np

from container_component_src.arrays import IntArray
from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.anomaly_reports import read_reports
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, inside_any, row_bounds
from container_component_src.telemetry.timestamps import to_iso

logger = logging.getLogger(__name__)


def label_dataset(
    dataset_uri: str, reports_uri: str, target_uri: str, columns: ReportColumns, strict: bool = True
) -> Dataset:
    """Write the label series of a dataset, with the same partitions and timestamps.

    Args:
        dataset_uri: The telemetry.
        reports_uri: The anomaly reports.
        target_uri: Folder of the label series. Its manifest lists all events, those without rows in the data apart.
        columns: Headers of the report table.
        strict: Whether events that overlap, share an ID or are outside the data are errors. If not, they are kept, and
            those outside the data are counted.

    Raises:
        InputError: A report is invalid (see `read_reports`), or no anomaly has a row in the data.
    """
    dataset, reported = Dataset.open(dataset_uri), read_reports(reports_uri, columns, strict)
    partitions = dataset.manifest.partitions
    first, last = partitions[0].start, partitions[-1].end
    outside = [event for event in reported if event.end <= first or event.start > last]
    span = f"{to_iso(first)} to {to_iso(last)}"
    if strict and 0 < len(outside) < len(reported):
        raise InputError(
            f"{reports_uri}: event {outside[0].id} ({to_iso(outside[0].start)}) is outside the data ({span})",
            fix="remove it, or ignore such events with --strict-reports false",
        )
    if unknown := {name for event in reported for name in event.causes}.difference(dataset.channels):
        logger.warning("%s: causes that are no channels of the data: %s", reports_uri, ", ".join(sorted(unknown)))
    rows = np.zeros(len(reported), dtype=np.int64)
    with DatasetWriter(target_uri, dataset.manifest.timestamp_col, (), sources=dataset.folders) as target:
        for frame in dataset.frames(channels=()):
            target.write(Frame(frame.timestamps, frame.values, inside_any(frame.timestamps, reported).astype(np.int8)))
            rows += np.diff(row_bounds(frame.timestamps, reported), axis=1)[:, 0]
        events, rowless = _divide(reported, rows)
        if not events:
            raise InputError(
                f"{reports_uri}: no reported anomaly has a row in the data ({span})", fix="check both time ranges"
            )
        counts = len(events), len(outside), len(rowless) - len(outside)
        notes = dict(zip(("events", "events_outside", "events_without_rows"), counts, strict=True))
        logger.info("%d of %d reported events have rows in the data", len(events), len(reported))
        return target.commit(events=events, events_without_rows=rowless, notes=notes)


def _divide(reported: Sequence[Event], rows: IntArray) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Return the events that have rows in the data, and those that have none."""
    pairs = list(zip(reported, rows, strict=True))
    return tuple(event for event, count in pairs if count), tuple(event for event, count in pairs if not count)

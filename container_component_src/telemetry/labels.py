"""Labels from anomaly reports: which rows lie in a reported anomaly."""

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.anomaly_reports import read_reports
from container_component_src.telemetry.dataset import Dataset, Frame, Timestamps, to_iso
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event

logger = logging.getLogger(__name__)


def label_dataset(
    dataset_uri: str, reports_uri: str, target_uri: str, columns: ReportColumns, strict: bool = True
) -> Dataset:
    """Write the label series of a dataset, with the same partitions and timestamps.

    Args:
        dataset_uri: The telemetry.
        reports_uri: The anomaly reports.
        target_uri: Folder of the label series; its manifest carries all events, those without rows in the data apart.
        columns: Headers of the report table.
        strict: Whether events that overlap, share an ID or lie outside the data are errors. If not, they are kept;
            those outside are counted.

    Raises:
        InputError: A report is wrong (see `read_reports`), or no anomaly has a row in the data.
    """
    dataset = Dataset.open(dataset_uri)
    partitions = dataset.manifest.partitions
    reported = read_reports(reports_uri, columns, strict)
    first, last = partitions[0].start, partitions[-1].end
    outside = [event for event in reported if event.end <= first or event.start > last]
    span = f"{to_iso(first)} to {to_iso(last)}"
    if strict and 0 < len(outside) < len(reported):
        raise InputError(
            f"{reports_uri}: event {outside[0].id} ({to_iso(outside[0].start)}) lies outside the data ({span}); "
            "remove it, or leave such events out with --strict-reports false"
        )
    rows = np.zeros(len(reported), dtype=np.int64)
    with DatasetWriter(target_uri, dataset.manifest.timestamp_col, (), sources=[dataset.location]) as target:
        for frame in dataset.frames(channels=()):
            target.write(Frame(frame.timestamps, frame.values, inside_any(frame.timestamps, reported).astype(np.int8)))
            rows += rows_of(frame.timestamps, reported)
        events = tuple(event for event, count in zip(reported, rows, strict=True) if count)
        rowless = tuple(event for event, count in zip(reported, rows, strict=True) if not count)
        if not events:
            raise InputError(
                f"{reports_uri}: no reported anomaly has a row in the data ({span}); check both time ranges"
            )
        notes = {
            "events": len(events),
            "events_outside": len(outside),
            "events_without_rows": len(rowless) - len(outside),
        }
        logger.info("%d of %d reported events have rows in the data", len(events), len(reported))
        return target.commit(events=events, events_without_rows=rowless, notes=notes)


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

"""Labels from anomaly reports and verdicts on alarms: 1 for rows in an anomaly, 0 for others."""

import logging
from collections.abc import Sequence

import numpy as np

from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.anomaly_reports import read_reports
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, inside_any, row_bounds
from container_component_src.telemetry.feedback import judge
from container_component_src.telemetry.timestamps import to_iso
from container_component_src.telemetry.verdicts import read_feedback

logger = logging.getLogger(__name__)


def label_dataset(
    dataset_uri: str,
    reports_uri: str,
    target_uri: str,
    columns: ReportColumns,
    strict: bool = True,
    feedback_uri: str = "",
) -> Dataset:
    """Write the label series of a dataset, with the same partitions and timestamps.

    Args:
        dataset_uri: The telemetry.
        reports_uri: The anomaly reports.
        target_uri: Folder of the label series. Its manifest lists all events, those without rows in the data apart, and
            what operators judged to be something else than an anomaly.
        columns: Headers of the report table.
        strict: Whether reports that overlap, share an ID or are outside the data are errors. If not, they are kept, and
            those outside the data are counted.
        feedback_uri: Verdicts on alarms, or "". One outside the data is never an error.

    Raises:
        InputError: A report or a verdict is invalid (see `read_reports` and `read_feedback`), or no anomaly has a row
            in the data.
    """
    dataset, reported = Dataset.open(dataset_uri), read_reports(reports_uri, columns, strict)
    judged = judge(read_feedback(feedback_uri) if feedback_uri else [], reported)
    anomalies = sorted((*reported, *judged.anomalies), key=lambda event: (event.start, event.end, event.id))
    outside = _outside(dataset, anomalies)
    if strict:
        _check_reports_inside(reports_uri, dataset, anomalies, outside)
    if unknown := {name for event in reported for name in event.causes}.difference(dataset.channels):
        logger.warning("%s: causes that are no channels of the data: %s", reports_uri, ", ".join(sorted(unknown)))
    with DatasetWriter(target_uri, dataset.manifest.timestamp_col, (), sources=dataset.folders) as target:
        present = _write_labels(target, dataset, anomalies, (*judged.rare_nominal, *judged.false_alarms))
        events, rare, false = (
            tuple(event for event in found if event in present)
            for found in (anomalies, judged.rare_nominal, judged.false_alarms)
        )
        rowless = tuple(event for event in anomalies if event not in present)
        if not events:
            raise InputError(
                f"{reports_uri}: no reported anomaly has a row in the data ({_span(dataset)})",
                fix="check both time ranges",
            )
        counts = len(events), len(outside), len(rowless) - len(outside)
        notes = dict(zip(("events", "events_outside", "events_without_rows"), counts, strict=True))
        if feedback_uri:
            notes |= {"rare_nominal_events": len(rare), "false_alarms": len(false)}
        logger.info("%d of %d anomalies have rows in the data", len(events), len(anomalies))
        return target.commit(
            events=events, events_without_rows=rowless, rare_nominal=rare, false_alarms=false, notes=notes
        )


def _write_labels(
    target: DatasetWriter, dataset: Dataset, anomalies: Sequence[Event], others: Sequence[Event]
) -> set[Event]:
    """Write the labels of a dataset, and return which of the anomalies and of other events have rows in it."""
    known = (*anomalies, *others)
    present: set[Event] = set()
    for frame in dataset.frames(channels=()):
        labels = inside_any(frame.timestamps, anomalies).astype(np.int8)
        target.write(Frame(frame.timestamps, frame.values, labels))
        first, stop = row_bounds(frame.timestamps, known).T
        present.update(known[position] for position in np.flatnonzero(first < stop).tolist())
    return present


def _outside(dataset: Dataset, events: Sequence[Event]) -> list[Event]:
    """Return the events before or after the data."""
    partitions = dataset.manifest.partitions
    return [event for event in events if event.end <= partitions[0].start or event.start > partitions[-1].end]


def _check_reports_inside(uri: str, dataset: Dataset, events: Sequence[Event], outside: Sequence[Event]) -> None:
    """Refuse a report outside the data; if all events are, there is a better message for it."""
    found = next((event for event in outside if event.origin == "report"), None)
    if found and len(outside) < len(events):
        raise InputError(
            f"{uri}: event {found.id} ({to_iso(found.start)}) is outside the data ({_span(dataset)})",
            fix="remove it, or ignore such events with --strict-reports false",
        )


def _span(dataset: Dataset) -> str:
    partitions = dataset.manifest.partitions
    return f"{to_iso(partitions[0].start)} to {to_iso(partitions[-1].end)}"

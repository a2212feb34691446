"""The table of anomaly reports, in the format of the real one."""

from datetime import UTC, datetime

import pandas as pd

from container_component_src.example_data.anomalies import NS_PER_S, Event
from container_component_src.steps.data import ReportColumns

TIME_FORMAT = "%Y/%j/%H:%M:%S"


def report_table(events: list[Event], columns: ReportColumns) -> pd.DataFrame:
    """Return one row of text per event, sorted by start; times are UTC, start inclusive, end exclusive."""
    ordered = sorted(events, key=lambda event: event.start_ns)
    return pd.DataFrame(
        {
            columns.id: [f"COL-AR-{number:04d}" for number in range(1, len(ordered) + 1)],
            columns.symbol: [event.kind.symbol for event in ordered],
            columns.title: [event.kind.title for event in ordered],
            columns.start: [_text(event.start_ns) for event in ordered],
            columns.end: [_text(event.end_ns) for event in ordered],
        },
        dtype=str,
    )


def _text(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime(TIME_FORMAT)

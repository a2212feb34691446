"""Overview of the telemetry: time range, gaps, and the times of the training, validation, calibration and test data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import InputError
from container_component_src.evaluation.event_result import EventResult
from container_component_src.report.text import utc
from container_component_src.report.traces import Figure, line, milliseconds
from container_component_src.telemetry.dataset import Dataset, read_together
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND

SPANS_SHOWN = 3_000  # maximum per split: gaps shorter than this fraction of the time range are not drawn
_LANES = (
    ("train", "Training", "@score"),
    ("val", "Validation", "@best"),
    ("calibration", "Calibration", "@calibrated"),
    ("test", "Test", "@olive"),
)

Spans = Timestamps  # [spans, 2]: first and last timestamp of stretches without a gap


@dataclass(frozen=True)
class Overview:
    """Summary of the telemetry and its split."""

    rows: int
    channels: int
    missing: Mapping[str, int]  # missing values by channel
    left_out: Mapping[str, str]  # why columns of the archives are not channels, by name
    spans: Spans  # of the whole telemetry
    splits: Mapping[str, Spans]  # by the name of the set, joined until there are few enough to draw
    split_rows: Mapping[str, int]
    notes: Mapping[str, Any]  # settings of the sampling and the split

    @property
    def gap_seconds(self) -> Float64Array:
        """Lengths of the gaps, [gaps]."""
        return np.asarray(self.spans[1:, 0] - self.spans[:-1, 1]) / NANOSECONDS_PER_SECOND

    @property
    def start(self) -> int:
        """First timestamp, nanoseconds since 1970 UTC."""
        return int(self.spans[0, 0])

    @property
    def end(self) -> int:
        """Last timestamp, nanoseconds since 1970 UTC."""
        return int(self.spans[-1, 1])


def read_overview(whole: Dataset, splits: Mapping[str, Dataset], max_gap_ns: int) -> Overview:
    """Read the timestamps of all splits, file by file.

    Args:
        whole: Telemetry before the split; only its manifest is read.
        splits: Datasets by the name of the set.
        max_gap_ns: Longest time step that is not a gap.

    Raises:
        InputError: The splits have more or fewer rows than the whole telemetry.
    """
    rows = {name: split.manifest.rows for name, split in splits.items()}
    if sum(rows.values()) != whole.manifest.rows:
        raise InputError(
            f"{whole.location.uri}: {whole.manifest.rows} rows, but its splits have {sum(rows.values())}",
            fix="name the dataset that was split, and all of its splits before scaling",
        )
    spans = read_spans(splits, max_gap_ns)
    together = join_spans(list(spans.values()), max_gap_ns)
    shortest_gap = max(max_gap_ns, int(together[-1, 1] - together[0, 0]) // SPANS_SHOWN)
    return Overview(
        rows=whole.manifest.rows,
        channels=len(whole.channels),
        missing=whole.manifest.missing or {},
        left_out=whole.manifest.left_out,
        spans=together,
        splits={name: join_spans([found], shortest_gap) for name, found in spans.items()},
        split_rows=rows,
        notes={**whole.manifest.notes, **splits["test"].manifest.notes},
    )


def read_spans(datasets: Mapping[str, Dataset], longest_step: int) -> dict[str, Spans]:
    """Return the stretches of datasets without a time step longer than this many nanoseconds, by name."""
    found: dict[str, list[Spans]] = {name: [] for name in datasets}
    for name, frame in read_together(datasets, ()):
        last = np.flatnonzero(np.diff(frame.timestamps) > longest_step)
        bounds = np.column_stack([np.append(0, last + 1), np.append(last, len(frame) - 1)])
        found[name].append(frame.timestamps[bounds])
    return {name: join_spans(spans, longest_step) for name, spans in found.items()}


def join_spans(spans: Sequence[Spans], longest_step: int) -> Spans:
    """Return all spans in order of time; spans that lie no more than this many nanoseconds apart become one."""
    ordered = np.concatenate(spans)
    ordered = ordered[np.argsort(ordered[:, 0], kind="stable")]
    ends = np.maximum.accumulate(ordered[:, 1])
    first = np.append(True, ordered[1:, 0] - ends[:-1] > longest_step)
    return np.column_stack([ordered[first, 0], ends[np.append(first[1:], True)]])


def split_figure(overview: Overview, events: Sequence[EventResult]) -> Figure:
    """Return the splits and the reported events as lanes over time."""
    lanes = [
        {
            **line(name, colour, width=16),
            "line": {"color": colour, "width": 16, "simplify": False},  # simplified lines lose short stretches
            **_horizontal_bars(overview.splits[split], height),
            "hovertemplate": f"{name}: %{{x|%Y-%m-%d %H:%M:%S}} UTC<extra></extra>",
        }
        for height, (split, name, colour) in enumerate(_LANES)
    ]
    names = [*(name for _, name, _ in _LANES), "Reported events"]
    return {
        "data": [*lanes, _event_markers(events, len(lanes))],
        "layout": {
            "xaxis": {"type": "date", "title": {"text": "Time (UTC)"}},
            "yaxis": {
                "tickvals": list(range(len(names))),
                "ticktext": names,
                "range": [-0.6, len(names) - 0.4],
                "fixedrange": True,
                "showgrid": False,
            },
            "showlegend": False,
            "hovermode": "closest",
        },
    }


def _event_markers(events: Sequence[EventResult], height: int) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Reported events",
        "x": [milliseconds(event.start) for event in events],
        "y": [height] * len(events),
        "marker": {"symbol": "triangle-down", "size": 10, "color": "@ink"},
        "text": [f"<b>{escape(event.id)}</b> {escape(event.title)}<br>{utc(event.start)} UTC" for event in events],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _horizontal_bars(spans: Spans, height: int) -> Figure:
    """Return a horizontal line for each span, with a break after each."""
    x: list[float | None] = []
    for start, end in spans.tolist():
        x += [milliseconds(start), milliseconds(end), None]
    return {"x": x, "y": [None if value is None else height for value in x]}

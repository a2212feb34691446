"""The telemetry as a whole: its time range and gaps, and which times of it train, validate and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float64Array
from container_component_src.errors import InputError
from container_component_src.evaluation.result import EventResult
from container_component_src.report.text import utc
from container_component_src.report.traces import Figure, line, milliseconds
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND

SPANS_SHOWN = 4_000  # of each part at most: pauses shorter than this part of the time range are not drawn
_LANES = (("train", "Training", "@score"), ("val", "Validation", "@best"), ("test", "Test", "@calibrated"))

Spans = npt.NDArray[np.int64]  # first and last timestamp of stretches without a longer step, shape [spans, 2]


@dataclass(frozen=True)
class Overview:
    """What the plot and the table of the data need."""

    rows: int
    channels: int
    missing: Mapping[str, int]  # values by channel
    spans: Spans  # of the whole telemetry
    splits: Mapping[str, Spans]  # of "train", "val" and "test", with so few spans that they can be drawn
    split_rows: Mapping[str, int]
    notes: Mapping[str, Any]  # how it was sampled and split

    @property
    def gap_seconds(self) -> Float64Array:
        """Lengths of the gaps, shape [gaps]."""
        return np.asarray(self.spans[1:, 0] - self.spans[:-1, 1]) / NANOSECONDS_PER_SECOND

    @property
    def start(self) -> int:
        """First timestamp, nanoseconds since 1970 UTC."""
        return int(self.spans[0, 0])

    @property
    def end(self) -> int:
        """Last timestamp."""
        return int(self.spans[-1, 1])


def read_overview(whole: Dataset, splits: Mapping[str, Dataset], max_gap_ns: int) -> Overview:
    """Read the timestamps of all three splits, partition by partition.

    Args:
        whole: The telemetry before the split; of it only the manifest is read.
        splits: The datasets "train", "val" and "test".
        max_gap_ns: Longest time step that is not a gap.

    Raises:
        InputError: The splits do not make up the whole.
    """
    rows = {name: split.manifest.rows for name, split in splits.items()}
    if sum(rows.values()) != whole.manifest.rows:
        raise InputError(
            f"{whole.location.uri}: {whole.manifest.rows} rows, but its splits have {sum(rows.values())}; name the "
            f"dataset that was split, and all of its splits before they were scaled"
        )
    spans = {name: read_spans(split, max_gap_ns) for name, split in splits.items()}
    together = joined(list(spans.values()), max_gap_ns)
    shortest = max(max_gap_ns, int(together[-1, 1] - together[0, 0]) // SPANS_SHOWN)
    return Overview(
        rows=whole.manifest.rows,
        channels=len(whole.channels),
        missing=whole.manifest.missing,
        spans=together,
        splits={name: joined([found], shortest) for name, found in spans.items()},
        split_rows=rows,
        notes={**whole.manifest.notes, **splits["test"].manifest.notes},
    )


def read_spans(dataset: Dataset, longest_step: int) -> Spans:
    """The stretches of a dataset without a time step longer than this many nanoseconds."""
    found = []
    for frame in dataset.frames(channels=()):
        last = np.flatnonzero(np.diff(frame.timestamps) > longest_step)
        bounds = np.column_stack([np.append(0, last + 1), np.append(last, len(frame) - 1)])
        found.append(frame.timestamps[bounds])
    return joined(found, longest_step)


def joined(spans: Sequence[Spans], longest_step: int) -> Spans:
    """The same spans in order of time, where those that no longer step parts are one."""
    ordered = np.concatenate(spans)
    ordered = ordered[np.argsort(ordered[:, 0], kind="stable")]
    ends = np.maximum.accumulate(ordered[:, 1])
    first = np.append(True, ordered[1:, 0] - ends[:-1] > longest_step)
    return np.column_stack([ordered[first, 0], ends[np.append(first[1:], True)]])


def split_figure(overview: Overview, events: Sequence[EventResult]) -> Figure:
    """The three splits, and the reported events, as lanes over time."""
    lanes = [
        {
            **line(name, colour, width=16),
            "line": {"color": colour, "width": 16, "simplify": False},  # or short stretches would be left out
            **_bars(overview.splits[split], height),
            "hovertemplate": f"{name}: %{{x|%Y-%m-%d %H:%M:%S}} UTC<extra></extra>",
        }
        for height, (split, name, colour) in enumerate(_LANES)
    ]
    reported = {
        "type": "scatter",
        "mode": "markers",
        "name": "Reported events",
        "x": [milliseconds(event.start) for event in events],
        "y": [len(_LANES)] * len(events),
        "marker": {"symbol": "triangle-down", "size": 10, "color": "@ink"},
        "text": [f"<b>{escape(event.id)}</b> {escape(event.title)}<br>{utc(event.start)} UTC" for event in events],
        "hovertemplate": "%{text}<extra></extra>",
    }
    names = [*(name for _, name, _ in _LANES), "Reported events"]
    return {
        "data": [*lanes, reported],
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


def _bars(spans: Spans, height: int) -> Figure:
    """Horizontal lines at a height, with a break after each."""
    x: list[float | None] = []
    for start, end in spans.tolist():
        x += [milliseconds(start), milliseconds(end), None]
    return {"x": x, "y": [None if value is None else height for value in x]}

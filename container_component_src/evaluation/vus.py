"""Volume under the surface: areas under the ROC and the PR curve that tolerate alarms close to an event.

Paparrizos, Boniol, Palpanas, Tsay, Elmore & Franklin 2022, "Volume Under the Surface: A New Accuracy Evaluation Measure
for Time-Series Anomaly Detection". The rows within half a buffer of an event count as anomalous in part, the less the
farther away they are, and an event counts as detected if there is an alarm in it or in its buffer. The volume is the
mean of the areas over the widths of the buffer. As in the public implementation, curves have 250 thresholds at evenly
spaced ranks, the area under the PR curve is a sum of steps, and events whose buffers touch count as one.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from container_component_src.arrays import BoolArray, Float64Array, IntArray
from container_component_src.evaluation.labelled_scores import LabelledScores, Scores
from container_component_src.telemetry.runs import runs_of

THRESHOLDS = 250
LEAST_WIDTHS = 250  # of the buffer; if there are more, they are sampled evenly
MOST_TERMS = 400_000_000  # rows in buffers times widths, beyond which widths are sampled
_FAR = 2**62


class Volume(NamedTuple):
    """Volumes under both surfaces, each between 0 and 1."""

    roc: float
    pr: float


def median_event_rows(data: LabelledScores) -> int:
    """Return the median number of rows of an event, where events that touch or overlap are one."""
    return int(np.median(np.diff(runs_of(~data.is_normal), axis=1)))


def volume_of(data: LabelledScores) -> Volume:
    """Return the volumes with buffers up to the median number of rows of an event, which do not cross gaps."""
    return volume_under_surface(~data.is_normal, data.scores, median_event_rows(data), data.before_gap)


def volume_under_surface(
    anomalous: BoolArray, scores: Scores, most_width: int, before_gap: BoolArray | None = None
) -> Volume:
    """Return the mean areas under the ROC and the PR curve over all buffers from 0 to a width.

    Args:
        anomalous: Rows in events, [rows]; at least one is, and one is not.
        scores: Shape [rows]; a larger score is more abnormal.
        most_width: Rows of the widest buffer, half of which lie on each side of an event.
        before_gap: Rows that no buffer of an earlier event goes beyond, [rows]; none by default.
    """
    gaps = 0 if before_gap is None else np.cumsum(np.append(0, before_gap[:-1])) * (most_width + 1)
    surface = _Surface(anomalous, _levels(scores), np.arange(len(scores)) + gaps, most_width // 2)
    roc, pr = np.mean([surface.areas(width) for width in _widths(most_width, surface.buffer_rows)], axis=0).tolist()
    return Volume(min(roc, 1.0), min(pr, 1.0))  # rounding may exceed 1


def _widths(most_width: int, rows: int) -> list[int]:
    """Return the widths from 0 to the widest, or as many in the middle of equal parts as so many rows allow."""
    count = min(most_width + 1, max(LEAST_WIDTHS, MOST_TERMS // max(rows, 1)))
    return [int(width) for width in (np.arange(count) + 0.5) * (most_width + 1) / count]


def _levels(scores: Scores) -> IntArray:
    """Return the position of the first threshold, in descending order, that each score reaches, [rows]."""
    descending = -np.sort(-scores)
    thresholds = descending[np.linspace(0, len(scores) - 1, THRESHOLDS).astype(np.int64)]
    return np.searchsorted(-thresholds, -scores)


@dataclass
class _Surface:
    """Areas under the curves for ascending widths of the buffer."""

    anomalous: BoolArray  # [rows]
    levels: IntArray  # [rows]
    positions: IntArray  # [rows], in rows, where a gap counts as more than any buffer
    reach: int  # rows of the widest buffer on one side of an event

    def __post_init__(self) -> None:
        self._alarms = self._alarms_at(self.levels)
        self._hits = self._alarms_at(self.levels[self.anomalous])
        self._first_level = np.minimum.reduceat(np.append(self.levels, THRESHOLDS), self._runs.ravel())[::2]
        self._seen = 0  # rows of buffers that the first levels of the events include

    @property
    def buffer_rows(self) -> int:
        """Number of rows in the widest buffers."""
        return len(self._buffers[0])

    def areas(self, width: int) -> tuple[float, float]:
        """Return the areas under the ROC and the PR curve with a buffer of this many rows."""
        nearest, second, levels, events = self._buffers
        used = int(np.searchsorted(nearest, width // 2, side="right"))
        weights = np.where(second[:used] <= width // 2, 1.0, np.sqrt(1 - nearest[:used] / max(width, 1)))
        partly = self._alarms_at(levels[:used], weights)
        np.minimum.at(self._first_level, events[self._seen : used], levels[self._seen : used])
        self._seen = used
        positives = self._hits[-1] + partly / 2
        found = self._hits + partly
        recall = np.append(0, np.minimum(found / positives, 1) * self._event_recall(width // 2))
        false_positive_rate = np.append(0, (self._alarms - found) / (len(self.levels) - positives))
        roc = np.trapezoid(np.append(recall, 1), np.append(false_positive_rate, 1))
        return float(roc), float(np.diff(recall) @ (found / self._alarms))

    def _event_recall(self, reach: int) -> Float64Array:
        """Return the share of the events with an alarm in them or in their buffer, [thresholds]."""
        starts, ends = self._bounds
        groups = np.flatnonzero(np.append(True, starts[1:] - ends[:-1] > 2 * reach))  # buffers that touch are one
        return self._alarms_at(np.minimum.reduceat(self._first_level, groups)) / len(groups)

    @cached_property
    def _runs(self) -> IntArray:
        return runs_of(self.anomalous)

    @cached_property
    def _bounds(self) -> tuple[IntArray, IntArray]:
        """Positions of the first and the last row of each event, [events]."""
        return self.positions[self._runs[:, 0]], self.positions[self._runs[:, 1] - 1]

    @cached_property
    def _buffers(self) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Rows of the widest buffers by ascending distance to the nearest event.

        Returns:
            Distance to the nearest and to the second nearest event, level, and nearest event, [rows] each. Two buffers
            that overlap add up to 1, because each is at least sqrt(1/2).
        """
        edges = np.zeros(len(self.levels) + 1, dtype=np.int64)
        np.add.at(edges, np.maximum(self._runs[:, 0] - self.reach, 0), 1)
        np.add.at(edges, np.minimum(self._runs[:, 1] + self.reach, len(self.levels)), -1)
        rows = np.flatnonzero((np.cumsum(edges[:-1]) > 0) & ~self.anomalous)
        starts, ends = self._bounds
        after = np.searchsorted(self._runs[:, 0], rows)  # the next event
        ends, starts = np.append([-_FAR, -_FAR], ends), np.append(starts, [_FAR, _FAR])
        here = self.positions[rows]
        distances = np.stack(
            [here - ends[after + 1], starts[after] - here, here - ends[after], starts[after + 1] - here]
        )
        events = np.where(distances[0] <= distances[1], after - 1, after)
        distances = np.partition(distances, 1, axis=0)[:2]
        order = np.argsort(distances[0], kind="stable")
        return distances[0, order], distances[1, order], self.levels[rows[order]], events[order]

    @staticmethod
    def _alarms_at(levels: IntArray, weights: Float64Array | None = None) -> Float64Array:
        """Return the number, or the weight, of the rows in alarm at each threshold, [thresholds]."""
        return np.cumsum(np.bincount(levels, weights, minlength=THRESHOLDS)[:THRESHOLDS], dtype=np.float64)

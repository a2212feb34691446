"""Scores of the validation and test data by a model bundle, and the channels that contribute most to each event."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from container_component_src.arrays import Float32Array, Float64Array, Int8Array, IntArray, Timestamps
from container_component_src.evaluation.constants import DepartureCount
from container_component_src.evaluation.result import SCORE_CHANNELS, ChannelExcess
from container_component_src.evaluation.root_cause import Diagnosis
from container_component_src.model.bundle import Bundle
from container_component_src.model.scoring import SeriesScorer, finite_contributions
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, row_bounds
from container_component_src.telemetry.series import EvenSample

SAMPLE_ROWS = 20_000  # evenly spaced validation rows that the usual contributions of each channel are taken from


class UsualContributions(NamedTuple):
    """Contributions to the score on the validation data, in nats, [channels] each."""

    median: Float64Array
    limit: Float64Array  # quantile of the alarms


@dataclass
class EventContributions:
    """Running sum of each channel's contribution to the score during each event."""

    events: Sequence[Event]
    channels: int
    _sums: Float64Array = field(init=False)  # [events, channels]
    _rows: IntArray = field(init=False)  # [events]

    def __post_init__(self) -> None:
        self._sums = np.zeros((len(self.events), self.channels))
        self._rows = np.zeros(len(self.events), dtype=np.int64)

    def add(self, timestamps: Timestamps, contributions: Float32Array) -> None:
        """Add the next rows: timestamps [rows] and contributions [rows, channels] in nats."""
        for position, (first, stop) in enumerate(row_bounds(timestamps, self.events)):
            if first < stop:
                self._sums[position] += contributions[first:stop].sum(axis=0, dtype=np.float64)
                self._rows[position] += stop - first

    def diagnose(self, names: Sequence[str], usual: UsualContributions) -> dict[Event, Diagnosis]:
        """Return for each event with rows how much the mean contribution of each channel exceeds the usual ones.

        Args:
            names: Channel names in the order of the contributions.
            usual: Contributions on the validation data.
        """
        diagnoses: dict[Event, Diagnosis] = {}
        for event, total, rows in zip(self.events, self._sums, self._rows, strict=True):
            if rows:
                excess = total / rows - usual.median
                ranking = [
                    ChannelExcess(channel=names[i], excess=float(excess[i]))
                    for i in np.argsort(-excess, kind="stable").tolist()
                ]
                in_alarm = frozenset(names[i] for i in np.flatnonzero(total / rows > usual.limit).tolist())
                diagnoses[event] = Diagnosis(tuple(ranking), in_alarm)
        return diagnoses


def score_validation(bundle: Bundle, val: Dataset, moved: DepartureCount) -> tuple[Float32Array, UsualContributions]:
    """Return the smoothed scores, [rows], and the usual contributions of each channel."""
    smoother, scorer = bundle.info.smoother(), SeriesScorer(bundle.scorer)
    evenly = EvenSample(val.manifest.rows, SAMPLE_ROWS)
    smoothed, sample = [], []
    for frame in val.frames():
        moved.add(frame)
        contributions = finite_contributions(scorer, val, frame)
        smoothed.append(smoother.push(frame.timestamps, contributions.sum(axis=1)).astype(np.float32))
        sample.append(contributions[evenly.of(len(frame))].copy())
    median, limit = np.quantile(np.concatenate(sample), [0.5, bundle.info.calibrated.settings.alarm_quantile], axis=0)
    return np.concatenate(smoothed), UsualContributions(median.astype(np.float64), limit.astype(np.float64))


def score_test(
    bundle: Bundle, test: Dataset, event_contributions: EventContributions, moved: DepartureCount
) -> Iterator[Frame]:
    """Yield the test rows with the columns `SCORE_CHANNELS` in place of the channels."""
    smoother, scorer = bundle.info.smoother(), SeriesScorer(bundle.scorer)
    for frame in test.frames():
        moved.add(frame)
        contributions = finite_contributions(scorer, test, frame)
        event_contributions.add(frame.timestamps, contributions)
        scores = contributions.sum(axis=1)
        columns = np.stack([scores, smoother.push(frame.timestamps, scores)], axis=1).astype(np.float32)
        yield Frame(frame.timestamps, columns, frame.labels)


def write_scores(writer: DatasetWriter, frames: Iterator[Frame]) -> tuple[Timestamps, Float32Array, Int8Array]:
    """Write frames of scores and return their timestamps, smoothed scores and labels, [rows] each."""
    timestamps, smoothed, labels = [], [], []
    for frame in frames:
        writer.write(frame)
        timestamps.append(frame.timestamps)
        smoothed.append(frame.values[:, SCORE_CHANNELS.index("smoothed_score")])
        labels.append(np.asarray(frame.labels, dtype=np.int8))
    return np.concatenate(timestamps), np.concatenate(smoothed), np.concatenate(labels)

"""Scores of the calibration and test data by a model bundle, their alarms, and the channels that contribute most."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from container_component_src.alarms.tracker import AlarmTracker, Span, closed
from container_component_src.arrays import BoolArray, Float32Array, Float64Array, Int8Array, IntArray, Timestamps
from container_component_src.evaluation.event_result import ChannelExcess
from container_component_src.evaluation.expected import ExpectedValues
from container_component_src.evaluation.result import SCORE_CHANNELS
from container_component_src.evaluation.root_cause import Diagnosis
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.model.excess import PeakChannels, excess
from container_component_src.model.scoring import scored_frames
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, row_bounds
from container_component_src.telemetry.series import EvenSample

if TYPE_CHECKING:
    from container_component_src.model.bundle import Bundle

TOP_CHANNELS = 5  # of an alarm or an event
SAMPLE_ROWS = 20_000  # evenly spaced calibration rows that the limit of each channel is taken from
CHANNEL_QUANTILE = 0.99  # of the calibration contributions of a channel, above which it is in alarm during an event


class FrameReader(Protocol):
    """Reads a dataset while the model scores it."""

    def add(self, frame: Frame, /) -> None:
        """Read the next rows, which have all channels."""


class CalibrationScores(NamedTuple):
    """Scores of the calibration data."""

    timestamps: Timestamps  # [rows]
    smoothed: Float32Array  # nats, [rows]
    limit: Float64Array  # `CHANNEL_QUANTILE` of the contributions of each channel, nats, [channels]


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
        bounds = row_bounds(timestamps, self.events)
        for position in np.flatnonzero(bounds[:, 0] < bounds[:, 1]):  # few of many events
            first, stop = bounds[position]
            self._sums[position] += contributions[first:stop].sum(axis=0, dtype=np.float64)
            self._rows[position] += stop - first

    def diagnose(self, info: BundleInfo, limit: Float64Array) -> dict[Event, Diagnosis]:
        """Return for each event with rows how much the mean contribution of each channel exceeds the usual one.

        Args:
            info: Description of the bundle that scores the rows.
            limit: Contribution above which a channel is in alarm during an event, nats, [channels].
        """
        diagnoses: dict[Event, Diagnosis] = {}
        names = info.channels
        for event, total, rows in zip(self.events, self._sums, self._rows, strict=True):
            if rows:
                mean = total / rows
                beyond = excess(info, mean[np.newaxis].astype(np.float32), None)[0]
                ranking = [
                    ChannelExcess(channel=names[i], excess=float(beyond[i]))
                    for i in np.argsort(-beyond, kind="stable").tolist()
                ]
                in_alarm = frozenset(names[i] for i in np.flatnonzero(mean > limit).tolist())
                diagnoses[event] = Diagnosis(tuple(ranking), in_alarm)
        return diagnoses


class AlarmFinder:
    """Finds the alarms of rows, and the channels of their peaks, while the rows are scored.

    Args:
        info: Description of the calibrated bundle that scores them.
    """

    def __init__(self, info: BundleInfo) -> None:
        self._tracker = AlarmTracker(info.calibrated.rule)
        self._channels = PeakChannels(info, TOP_CHANNELS)
        self._closed: list[Span] = []
        self._rows: list[BoolArray] = []

    def add(self, timestamps: Timestamps, contributions: Float32Array, smoothed: Float64Array) -> None:
        """Read the next rows: timestamps [rows], contributions [rows, channels] and smoothed scores [rows] in nats."""
        tracked = self._tracker.push(timestamps, smoothed, self._channels.push(timestamps, contributions))
        self._closed += closed(tracked.changes)
        self._rows.append(tracked.in_alarm)

    def finish(self) -> tuple[list[Span], BoolArray]:
        """Return all alarms, in order of time, and the rows in alarm, [rows]."""
        return [*self._closed, *closed(self._tracker.finish())], np.concatenate(self._rows)


def score_calibration(bundle: "Bundle", calibration: Dataset, readers: Iterable[FrameReader] = ()) -> CalibrationScores:
    """Score the calibration set, whose rows the readers read in the same pass."""
    evenly = EvenSample(calibration.manifest.rows, SAMPLE_ROWS)
    timestamps, smoothed, sample = [], [], []
    for scored in scored_frames(bundle.scorer, bundle.info.smoother(), calibration):
        for reader in readers:
            reader.add(scored.frame)
        timestamps.append(scored.frame.timestamps)
        smoothed.append(scored.smoothed.astype(np.float32))
        sample.append(scored.contributions[evenly.of(len(scored.frame))].copy())
    limit = np.quantile(np.concatenate(sample), CHANNEL_QUANTILE, axis=0).astype(np.float64)
    return CalibrationScores(np.concatenate(timestamps), np.concatenate(smoothed), limit)


def score_test(
    bundle: "Bundle",
    test: Dataset,
    event_contributions: EventContributions,
    expected_values: ExpectedValues,
    finder: AlarmFinder,
    readers: Iterable[FrameReader],
) -> Iterator[Frame]:
    """Yield the test rows, which the readers read, with the columns `SCORE_CHANNELS` in place of the channels."""
    scored = scored_frames(bundle.scorer, bundle.info.smoother(), test, with_expected=True)
    for frame, contributions, expected, scores, smoothed in scored:
        for reader in readers:
            reader.add(frame)
        expected_values.add(frame.timestamps, expected)
        event_contributions.add(frame.timestamps, contributions)
        finder.add(frame.timestamps, contributions, smoothed)  # before the scores are rounded
        yield Frame(frame.timestamps, np.stack([scores, smoothed], axis=1).astype(np.float32), frame.labels)


def write_scores(writer: DatasetWriter, frames: Iterator[Frame]) -> tuple[Timestamps, Float32Array, Int8Array]:
    """Write frames of scores and return their timestamps, smoothed scores and labels, [rows] each."""
    timestamps, smoothed, labels = [], [], []
    for frame in frames:
        writer.write(frame)
        timestamps.append(frame.timestamps)
        smoothed.append(frame.values[:, SCORE_CHANNELS.index("smoothed_score")])
        labels.append(np.asarray(frame.labels, dtype=np.int8))
    return np.concatenate(timestamps), np.concatenate(smoothed), np.concatenate(labels)

"""What the service answers per row: the score, whether it is an alarm, and the channels behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float32Array
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.protocol.inputs import Rows
from container_component_src.telemetry.smoothing import Smoother, segment_starts

TOP_CHANNELS = 5
_MOST_NATS = 1e12  # of a channel in a row; sums over rows keep their digits

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Smoothed:
    """Scores smoothed over time, where the rows of a request had timestamps."""

    scores: Floats  # nats, shape [rows]
    window_rows: npt.NDArray[np.int64]  # rows that the median covers, shape [rows]


@dataclass(frozen=True)
class Assessment:
    """Answers to all rows of a request; k channels per row."""

    channels: Sequence[str]
    threshold: float  # nats
    scores: npt.NDArray[np.float32]  # nats, shape [rows]
    smoothed: Smoothed | None
    alarms: npt.NDArray[np.bool_]  # shape [rows]
    top: npt.NDArray[np.int64]  # positions of the contributing channels, most contributing first, shape [rows, k]
    shares: Floats  # of these channels, shape [rows, k]
    expected: Floats  # engineering units, shape [rows, k]
    observed: Floats  # engineering units, shape [rows, k]

    def predictions(self) -> list[dict[str, Any]]:
        """One object per row, as the V1 protocol answers."""
        names = self.channels
        answers = [
            {
                "score": score,
                "threshold": self.threshold,
                "alarm": alarm,
                "top_channels": [
                    {"channel": names[column], "share": share, "expected": expected, "observed": observed}
                    for column, share, expected, observed in zip(*row, strict=True)
                ],
            }
            for score, alarm, *row in zip(
                self.scores.tolist(),
                self.alarms.tolist(),
                self.top.tolist(),
                self.shares.tolist(),
                self.expected.tolist(),
                self.observed.tolist(),
                strict=True,
            )
        ]
        if self.smoothed is not None:
            pairs = zip(self.smoothed.scores.tolist(), self.smoothed.window_rows.tolist(), strict=True)
            for answer, (smoothed, rows) in zip(answers, pairs, strict=True):
                answer["smoothed_score"], answer["window_rows"] = smoothed, rows
        return answers

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """One array per field, as the V2 protocol answers."""
        found: dict[str, npt.NDArray[Any]] = {
            "score": self.scores,
            "threshold": np.full(len(self.scores), self.threshold),
            "alarm": self.alarms,
            "top_channel": np.array(self.channels, dtype=object)[self.top],
            "top_share": self.shares,
            "top_expected": self.expected,
            "top_observed": self.observed,
        }
        if self.smoothed is not None:
            found |= {"smoothed_score": self.smoothed.scores, "window_rows": self.smoothed.window_rows}
        return found


def assess(info: BundleInfo, rows: Rows, parts: Float32Array, expected: Float32Array, top_channels: int) -> Assessment:
    """Judge scored rows.

    A channel contributes what its part of the score exceeds its mean part in the validation data by: the parts of
    noisy channels are always high, and those of exact ones low. An alarm is a score above the threshold, with
    timestamps a smoothed one: it is for these that the threshold was calibrated. Contributions then are means over the
    window of the smoothing, because an alarm is about all of its rows.

    Args:
        info: Of the bundle that scored them.
        rows: In engineering units, [rows, channels].
        parts: Share of every channel in the score, nats, float32 [rows, channels].
        expected: What the model expects instead, scaled, float32 [rows, channels].
        top_channels: How many contributing channels to name.
    """
    usual = info.thresholds.channel_nats
    excess = parts - np.array(usual or (0.0,), dtype=np.float32)
    scores = parts.sum(axis=1)
    smoothed = None if rows.timestamps is None else _smooth(info, rows.timestamps, scores)
    if smoothed is not None and info.thresholds.smoothing_window > 1:
        excess = _window_means(excess, smoothed.window_rows)
    total = np.maximum(excess, 0.0).sum(axis=1, keepdims=True, dtype=np.float64)
    top, largest = _take_largest(excess, min(top_channels, len(info.channels)))
    shares = np.divide(np.maximum(largest, 0.0), total, out=np.zeros(top.shape), where=total > 0)
    reconstructed = np.take_along_axis(expected, top, axis=1).astype(np.float64)
    if info.scaler is not None:
        reconstructed = reconstructed * np.asarray(info.scaler.scale)[top] + np.asarray(info.scaler.centre)[top]
    return Assessment(
        channels=info.channels,
        threshold=info.thresholds.score,
        scores=scores,
        smoothed=smoothed,
        alarms=(scores if smoothed is None else smoothed.scores) > info.thresholds.score,
        top=top,
        shares=shares,
        expected=reconstructed,
        observed=np.take_along_axis(rows.values, top, axis=1).astype(np.float64),
    )


def _smooth(info: BundleInfo, timestamps: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]) -> Smoothed:
    window, max_gap_ns = info.thresholds.smoothing_window, info.thresholds.max_gap_ns
    since_gap = np.arange(len(timestamps)) - segment_starts(timestamps, max_gap_ns) + 1
    return Smoothed(Smoother(window, max_gap_ns).push(timestamps, scores), np.minimum(since_gap, window))


def _window_means(excess: Float32Array, window_rows: npt.NDArray[np.int64]) -> Float32Array:
    """Mean of each row and those before it in its window, [rows, channels]."""
    sums = np.zeros((len(excess) + 1, excess.shape[1]))
    np.cumsum(np.minimum(excess, _MOST_NATS), axis=0, dtype=np.float64, out=sums[1:])
    ends = np.arange(1, len(excess) + 1)
    means: Floats = (sums[ends] - sums[ends - window_rows]) / window_rows[:, np.newaxis]
    return means.astype(np.float32)


def _take_largest(values: Float32Array, count: int) -> tuple[npt.NDArray[np.int64], Float32Array]:
    """Positions of the largest values of each row and these values, largest first, each [rows, count].

    In their places is negative infinity afterwards.
    """
    rows = np.arange(len(values))
    top, largest = np.empty((len(values), count), dtype=np.int64), np.empty((len(values), count), dtype=np.float32)
    for position in range(count):  # a few passes take a quarter of the time of a partition
        top[:, position] = found = values.argmax(axis=1)
        largest[:, position] = values[rows, found]
        values[rows, found] = -np.inf
    return top, largest

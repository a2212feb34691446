"""The answer to each row: its score, whether it is an alarm, and the channels that contribute most; and its alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import AlarmTracker, Change, Channels, ChannelShare
from container_component_src.arrays import BoolArray, Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.model.excess import excess, take_largest_shares
from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.server.missing import Imputation, imputation
from container_component_src.steps.serving import DEAD_AFTER
from container_component_src.telemetry.smoothing import segment_starts


@dataclass(frozen=True)
class Smoothed:
    """Scores smoothed over time, for rows with timestamps."""

    scores: Float64Array  # nats, shape [rows]
    window_rows: IntArray  # rows since the last gap, at most those of the window, shape [rows]


@dataclass(frozen=True)
class Assessment:
    """Answers to all rows of a request, with k contributing channels per row."""

    info: BundleInfo  # of the bundle that scored the rows
    scores: Float32Array  # nats, shape [rows]
    smoothed: Smoothed | None
    alarms: BoolArray  # rows above the threshold or with a dead channel, shape [rows]
    found: Sequence[Change] | None  # latest change of each alarm in the rows; None without timestamps
    top: IntArray  # indices of the contributing channels, largest contribution first, shape [rows, k]
    shares: Float64Array  # share of these channels in all contributions, shape [rows, k]
    reconstruction: Float64Array  # engineering units, shape [rows, k]
    observed: Float64Array  # engineering units, shape [rows, k]; NaN if it was missing
    imputation: Imputation | None = None  # None if missing values are refused

    @property
    def channels(self) -> Sequence[str]:
        """Channels of the model."""
        return self.info.channels

    @property
    def threshold(self) -> float:
        """Alarm threshold in nats."""
        return self.info.calibrated.rule.raise_above

    @property
    def size(self) -> int:
        """Number of values in all tensors, which need not be made to count them."""
        smoothed = 0 if self.smoothed is None else self.smoothed.scores.size + self.smoothed.window_rows.size
        missing = 0 if self.imputation is None else self.imputation.size
        return 3 * self.scores.size + 4 * self.top.size + smoothed + missing  # with thresholds, alarms and names

    def predictions(self) -> list[dict[str, Any]]:
        """Return one object per row, as in an answer of the V1 protocol."""
        names = self.channels
        answers = [
            {
                "score": score,
                "threshold": self.threshold,
                "alarm": alarm,
                "top_channels": [
                    {"channel": names[column], "share": share, "expected": reconstruction, "observed": observed}
                    for column, share, reconstruction, observed in zip(*row, strict=True)
                ],
            }
            for score, alarm, *row in zip(
                self.scores.tolist(),
                self.alarms.tolist(),
                self.top.tolist(),
                self.shares.tolist(),
                self.reconstruction.tolist(),
                self.observed.tolist(),
                strict=True,
            )
        ]
        if self.smoothed is not None:
            pairs = zip(self.smoothed.scores.tolist(), self.smoothed.window_rows.tolist(), strict=True)
            for answer, (smoothed, rows) in zip(answers, pairs, strict=True):
                answer["smoothed_score"], answer["window_rows"] = smoothed, rows
        if self.imputation is not None:
            for answer, missing in zip(answers, self.imputation.predictions(), strict=True):
                answer.update(missing)
        return answers

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return one array per field, as in an answer of the V2 protocol."""
        tensors: dict[str, npt.NDArray[Any]] = {
            "score": self.scores,
            "threshold": np.full(len(self.scores), self.threshold),
            "alarm": self.alarms,
            "top_channel": np.array(self.channels, dtype=object)[self.top],
            "top_share": self.shares,
            "top_expected": self.reconstruction,
            "top_observed": self.observed,
        }
        if self.smoothed is not None:
            tensors |= {"smoothed_score": self.smoothed.scores, "window_rows": self.smoothed.window_rows}
        return tensors if self.imputation is None else tensors | self.imputation.tensors()

    @property
    def found_size(self) -> int:
        """Number of values in the JSON of the alarms."""
        channels: int = self.top.shape[1]
        return len(self.found or ()) * (len(Alarm.model_fields) + 2 * channels)

    def found_json(self) -> str | None:
        """Return the alarms as JSON, a list of objects as in a file of alarms; None without timestamps."""
        if self.found is None:
            return None
        source = self.info.alarm_source
        return f"[{','.join(source.alarm(change).model_dump_json() for change in self.found)}]"


def assess(
    info: BundleInfo,
    rows: Rows,
    contributions: Float32Array,
    reconstruction: Float32Array,
    top_channels: int,
    dead_after: float = DEAD_AFTER,
) -> Assessment:
    """Return the answers to scored rows.

    Channels are ranked by their excess: the contribution less its mean in the calibration data. Otherwise channels that
    are always noisy would lead every answer. A row is an alarm if its score is above the threshold, or a channel dead.
    With timestamps, the smoothed score decides, because the threshold was calibrated on smoothed scores. The excess is
    then smoothed, too, because such an alarm is about all rows of the window; means stand in for medians.

    Args:
        info: Description of the bundle that scored the rows.
        rows: Rows in engineering units, shape [rows, channels].
        contributions: Contribution of each channel to the score, nats, shape [rows, channels].
        reconstruction: Output of the model, scaled, shape [rows, channels].
        top_channels: Number of contributing channels to name.
        dead_after: Seconds after which a missing channel is dead.
    """
    scores = contributions.sum(axis=1)
    smoothed = None if rows.timestamps is None else _smooth(info, rows.timestamps, scores)
    beyond = excess(info, contributions, rows.timestamps)
    top, shares = take_largest_shares(beyond, min(top_channels, len(info.channels)))
    every = np.arange(len(top))[:, np.newaxis]
    missing = imputation(rows, info.channels, dead_after)
    alarms = (scores if smoothed is None else smoothed.scores) > info.calibrated.rule.raise_above
    return Assessment(
        info=info,
        scores=scores,
        smoothed=smoothed,
        alarms=alarms if missing is None else alarms | missing.alarms,
        found=None if smoothed is None else _find(info, rows, smoothed, top, shares, missing),
        top=top,
        shares=shares,
        reconstruction=_in_engineering_units(info, reconstruction[every, top], top),
        observed=rows.values[every, top].astype(np.float64),
        imputation=missing,
    )


def _find(
    info: BundleInfo, rows: Rows, smoothed: Smoothed, top: IntArray, shares: Float64Array, missing: Imputation | None
) -> Sequence[Change]:
    """Return the latest change of each alarm in the rows; one that may go on after them is not closed."""
    assert rows.timestamps is not None  # noqa: S101 - only scores with timestamps are smoothed

    def channels_at(row: int) -> Channels:
        pairs = zip(top[row].tolist(), shares[row].tolist(), strict=True)
        return tuple(ChannelShare(info.channels[column], share) for column, share in pairs)

    tracker = AlarmTracker(info.calibrated.rule)
    forced = None if missing is None else missing.alarms
    changes = tracker.push(rows.timestamps, smoothed.scores, channels_at, forced).changes
    return tuple({change.span.start: change for change in changes}.values())


def _in_engineering_units(info: BundleInfo, values: Float32Array, columns: IntArray) -> Float64Array:
    """Return scaled values of the given columns in engineering units, each of shape [rows, k]."""
    wide: Float64Array = values.astype(np.float64)
    if info.scaler is not None:
        centre, scale = info.scaler.arrays
        wide *= scale[columns]
        wide += centre[columns]
    return wide


def _smooth(info: BundleInfo, timestamps: Timestamps, scores: Float32Array) -> Smoothed:
    smoother = info.smoother()
    since_gap = np.arange(len(timestamps)) - segment_starts(timestamps, info.max_gap_ns) + 1
    return Smoothed(smoother.push(timestamps, scores), np.minimum(since_gap, smoother.window))

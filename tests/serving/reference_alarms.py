"""Telemetry with alarms of all kinds, and its alarms by the model in this process."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import AlarmTracker, ChannelShare
from container_component_src.arrays import Float32Array, Float64Array, Timestamps
from container_component_src.model.bundle import Bundle
from container_component_src.model.excess import excess, take_largest_shares
from tests.helpers import TIME
from tests.serving.bundles import CHANNELS, SCALER

SECOND = 10**9
RULE = AlarmRule(
    raise_above=7.0, clear_below=5.0, min_duration_ns=2 * SECOND, merge_gap_ns=4 * SECOND, max_gap_ns=10 * SECOND
)


def telemetry(seed: int, rows: int = 240) -> tuple[Timestamps, Float64Array]:
    """Times, and quiet, restless and abnormal stretches in engineering units, [rows, channels]; a few gaps."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.choice([0.3, 0.3, 1.0, 2.5], rows), rng.integers(1, 9, rows))[:rows]
    scaled = (rng.standard_normal((rows, len(CHANNELS))) * levels[:, np.newaxis]).astype(np.float32)
    steps = rng.choice([1, 2, 30], rows, p=[0.9, 0.08, 0.02])
    return 1_600_000_000 * SECOND + np.cumsum(steps) * SECOND, SCALER.inverse_transform(scaled).astype(np.float64)


def frame(timestamps: Timestamps, values: Float64Array) -> pd.DataFrame:
    columns = {name: values[:, column] for column, name in enumerate(CHANNELS)}
    return pd.DataFrame({TIME: pd.to_datetime(timestamps, unit="ns", utc=True), **columns})


def contributions_of(bundle: Bundle, timestamps: Timestamps, values: Float64Array) -> Float32Array:
    return bundle.scorer.contributions(SCALER.transform(values.astype(np.float32)), timestamps)


def alarms_of(
    bundle: Bundle, timestamps: Timestamps, values: Float64Array, rule: AlarmRule | None = None, finish: bool = True
) -> list[Alarm]:
    """The alarms of rows in one piece, by default by the rule of the bundle."""
    contributions = contributions_of(bundle, timestamps, values)
    smoothed = bundle.info.smoother().push(timestamps, contributions.sum(axis=1))
    top, shares = take_largest_shares(excess(bundle.info, contributions, timestamps), len(CHANNELS))

    def channels_at(row: int) -> tuple[ChannelShare, ...]:
        return tuple(ChannelShare(CHANNELS[i], share) for i, share in zip(top[row], shares[row].tolist(), strict=True))

    tracker = AlarmTracker(rule or bundle.info.calibrated.rule)
    changes = tracker.push(timestamps, smoothed, channels_at).changes
    latest = {change.span.start: change for change in [*changes, *(tracker.finish() if finish else ())]}
    return [bundle.info.alarm_source.alarm(change) for change in latest.values()]


def assert_same(found: Sequence[Alarm], wanted: Sequence[Alarm]) -> None:
    """Check that alarms are equal, apart from the rounding of scores and shares."""
    assert [_exact(alarm) for alarm in found] == [_exact(alarm) for alarm in wanted]
    assert [_rounded(alarm) for alarm in found] == [pytest.approx(_rounded(alarm), rel=1e-4) for alarm in wanted]


def _exact(alarm: Alarm) -> dict[str, Any]:
    names = [item.channel for item in alarm.channels]
    return alarm.model_dump(exclude={"peak_score", "channels"}) | {"channels": names}


def _rounded(alarm: Alarm) -> list[float]:
    return [alarm.peak_score, *(item.share for item in alarm.channels)]

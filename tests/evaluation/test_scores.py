"""Alarms that are found while the test data is scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import find_alarms
from container_component_src.arrays import Float32Array
from container_component_src.evaluation.scores import CHANNEL_QUANTILE, AlarmFinder, score_calibration
from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.model.excess import excess, take_largest_shares
from container_component_src.model.frames import open_data
from container_component_src.steps.calibration import Smoothing
from tests.evaluation.cases import CHANNELS, SECOND, normal_frame, write_case
from tests.serving.bundles import CHANNELS as SERVED
from tests.serving.bundles import bundle_info

ROWS = 40


def info(rule: AlarmRule, smoothing: Smoothing, window: int) -> BundleInfo:
    base = bundle_info(smoothing=smoothing, smoothing_window=window)
    return base.model_copy(update={"calibration": base.calibrated.model_copy(update={"rule": rule})})


@given(
    values=arrays(np.float32, (ROWS, 3), elements=st.sampled_from([0.0, 0.25, 1.0, 2.0, 7.5])),
    steps=arrays(np.int64, ROWS, elements=st.sampled_from([1, 1, 1, 2, 30])),
    cuts=st.sets(st.integers(0, ROWS)),
    smoothing=st.sampled_from(Smoothing),
    window=st.integers(1, 6),
    levels=st.tuples(st.sampled_from([1.0, 3.0, 5.0]), st.sampled_from([0.0, 1.0])),
    duration=st.integers(0, 3),
    merged=st.integers(0, 4),
)
def test_alarms_and_their_channels_do_not_depend_on_partitions(
    values: Float32Array,
    steps: np.ndarray,
    cuts: set[int],
    smoothing: Smoothing,
    window: int,
    levels: tuple[float, float],
    duration: int,
    merged: int,
) -> None:
    rule = AlarmRule(
        raise_above=levels[0], clear_below=levels[1], min_duration_ns=duration * SECOND, merge_gap_ns=merged * SECOND,
        max_gap_ns=10 * SECOND,
    )  # fmt: skip
    model, timestamps = info(rule, smoothing, window), np.cumsum(steps) * SECOND
    finder, smoother = AlarmFinder(model), model.smoother()
    for rows in np.split(np.arange(ROWS), sorted(cuts)):
        smoothed = smoother.push(timestamps[rows], values[rows].sum(axis=1))
        finder.add(timestamps[rows], values[rows], smoothed)
    spans, in_alarm = finder.finish()
    expected, expected_rows = find_alarms(timestamps, model.smoother().push(timestamps, values.sum(axis=1)), rule)
    assert [replace(span, channels=()) for span in spans] == expected
    np.testing.assert_array_equal(in_alarm, expected_rows)
    top, shares = take_largest_shares(excess(model, values, timestamps), 3)
    for span in spans:
        peak = int(np.searchsorted(timestamps, span.peak))
        assert [item.channel for item in span.channels] == [SERVED[column] for column in top[peak]]
        assert [item.share for item in span.channels] == shares[peak].tolist()


def test_alarms_are_found_before_scores_are_rounded() -> None:
    third = np.float64(1) / 3
    rule = AlarmRule(raise_above=third, clear_below=third)
    assert np.float32(third) > third  # rounded, it would be above the threshold
    finder = AlarmFinder(info(rule, Smoothing.NONE, 1))
    finder.add(np.array([0]), np.zeros((1, 3), dtype=np.float32), np.array([third]))
    assert finder.finish()[0] == []


def test_the_limit_of_a_channel_is_a_quantile_of_its_contributions(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    bundle = Bundle.load(case.bundle)
    scores = score_calibration(bundle, open_data(bundle.info, case.calibration))
    values = normal_frame(5, labelled=False).values.astype(np.float64)
    expected = 0.5 * (np.quantile(values**2, CHANNEL_QUANTILE, axis=0) + np.log(2 * np.pi))
    assert bundle.info.calibrated.settings.alarm_quantile != CHANNEL_QUANTILE
    assert scores.limit.shape == (len(CHANNELS),)
    np.testing.assert_allclose(scores.limit, expected, rtol=1e-4)

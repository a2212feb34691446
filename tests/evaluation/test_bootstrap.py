"""Bootstrap on data with known resamples."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from container_component_src.evaluation import bootstrap
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import metrics_at, pr_auc, roc_auc
from container_component_src.telemetry.events import Event
from tests.evaluation.labelled_data import random_data

SECOND = 10**9
THRESHOLD = 2.5
BLOCK_SCORES = (0.0, 3.0, 1.0, 4.0, 2.0, 6.0, 0.0, 0.0, 1.0, 2.0)  # rows 3 to 5 are an event
BLOCK_LABELS = (0, 0, 0, 1, 1, 1, 0, 0, 0, 0)


def event(first: int, stop: int) -> Event:
    return Event(id=str(first), start=first * SECOND, end=stop * SECOND)


def labelled(scores: tuple[float, ...], labels: tuple[int, ...], events: list[Event]) -> LabelledScores:
    timestamps = np.arange(len(scores), dtype=np.int64) * SECOND
    return LabelledScores(timestamps, np.array(scores, dtype=np.float32), np.array(labels, dtype=np.int8), events)


def repeated(blocks: int) -> LabelledScores:
    """Return data that repeats the same event and the rows around it."""
    events = [event(10 * block + 3, 10 * block + 6) for block in range(blocks)]
    return labelled(BLOCK_SCORES * blocks, BLOCK_LABELS * blocks, events)


def test_blocks_begin_halfway_between_events() -> None:
    labels = (0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0)
    data = labelled(tuple(map(float, range(12))), labels, [event(1, 3), event(7, 10), event(9, 11)])
    assert bootstrap.block_starts(data).tolist() == [0, 5]


def test_equal_blocks_give_intervals_of_zero_width() -> None:
    data = repeated(4)
    metrics = metrics_at(data, THRESHOLD)
    resamples = bootstrap.resample(data, THRESHOLD, seed=1)
    assert resamples is not None
    expected = {
        "roc_auc": roc_auc(data),
        "pr_auc": pr_auc(data),
        "precision": metrics.precision,
        "recall": metrics.recall,
        "f1": metrics.f1,
        "event_recall": 1.0,
        "composite_f1": metrics.composite_f1,
        "false_alarms_per_day": metrics.false_alarms_per_day,
    }
    intervals = resamples.intervals()
    assert intervals.keys() == expected.keys()
    for name, value in expected.items():
        assert (intervals[name].low, intervals[name].high) == pytest.approx((value, value)), name


def test_event_recall_varies_with_the_drawn_events() -> None:
    scores = (*BLOCK_SCORES, *(3.0 if score == 3 else 0.0 for score in BLOCK_SCORES))  # the second event is missed
    data = labelled(scores, BLOCK_LABELS * 2, [event(3, 6), event(13, 16)])
    resamples = bootstrap.resample(data, THRESHOLD, seed=1)
    assert resamples is not None
    found = resamples.values["event_recall"]
    assert set(found) == {0.0, 0.5, 1.0}
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)
    # The detected event has two rows in alarm, and each block has one normal row in alarm.
    np.testing.assert_allclose(resamples.values["precision"], 2 * found / (2 * found + 1))
    assert (resamples.intervals()["event_recall"].low, resamples.intervals()["event_recall"].high) == (0.0, 1.0)


def test_a_scorer_has_no_advantage_over_itself() -> None:
    first, second = (bootstrap.resample(repeated(3), THRESHOLD, seed=5) for _ in range(2))
    assert first is not None
    assert second is not None
    for interval in first.differences(second).values():
        assert (interval.low, interval.high) == (0.0, 0.0)


def test_a_single_event_gives_no_resamples() -> None:
    assert bootstrap.resample(repeated(1), THRESHOLD, seed=1) is None


@given(random_data(), st.floats(-3, 3), st.integers(0, 9))
def test_resamples_equal_the_metrics_of_the_rows_drawn(data: LabelledScores, threshold: float, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 5)
        resamples = bootstrap.resample(data, threshold, seed)
    starts = bootstrap.block_starts(data)
    assert (resamples is None) == (len(starts) < 2)
    if resamples is None:
        return
    draws = np.random.default_rng(seed).multinomial(len(starts), np.full(len(starts), 1 / len(starts)), 5)
    blocks = np.split(np.arange(len(data.scores)), starts[1:])
    for number, draw in enumerate(draws):
        rows = np.concatenate([np.tile(block, times) for block, times in zip(blocks, draw, strict=True)])
        for name, value in drawn_metrics(data, rows, threshold).items():
            assert resamples.values[name][number] == pytest.approx(value, nan_ok=True), name


def drawn_metrics(data: LabelledScores, rows: npt.NDArray[np.int64], threshold: float) -> dict[str, float]:
    """Return the metrics of rows, which may repeat, by scikit-learn; NaN for undefined metrics."""
    labels, scores = data.labels[rows], data.scores[rows].astype(np.float64)
    alarm = scores > threshold
    drawn = np.bincount(rows, minlength=len(data.scores))
    found = [
        (drawn[first], peak > threshold) for (first, _), peak in zip(data.event_bounds, data.event_peaks, strict=True)
    ]
    normal_days = data.days[rows][labels == 0].sum()
    begins = data.alarm_starts(threshold)[rows] & (labels == 0)
    return {
        "roc_auc": roc_auc_score(labels, scores) if 0 < labels.sum() < len(labels) else np.nan,
        "pr_auc": average_precision_score(labels, scores) if labels.any() else np.nan,
        "precision": precision_score(labels, alarm) if alarm.any() else np.nan,
        "recall": recall_score(labels, alarm) if labels.any() else np.nan,
        "f1": f1_score(labels, alarm, zero_division=0),
        "event_recall": sum(times * hit for times, hit in found) / sum(times for times, _ in found),
        "false_alarms_per_day": begins.sum() / normal_days if normal_days else np.nan,
    }

"""Bootstrap on data with known resamples."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from container_component_src.alarms.expected_rate import poisson_interval
from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation import bootstrap
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import metrics_at, pr_auc, roc_auc
from container_component_src.evaluation.operator_metrics import f_beta
from container_component_src.evaluation.result import ALARM_METRICS
from container_component_src.telemetry.events import Event
from tests.evaluation.labelled_data import above, random_data, random_rules

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
    alarms = above(data, THRESHOLD)
    metrics = metrics_at(alarms)
    resamples = bootstrap.resample(data, 1, alarms)
    assert resamples is not None
    names = {"precision", "recall", "f1", *ALARM_METRICS}
    expected = {name: getattr(metrics, name) for name in names} | {"roc_auc": roc_auc(data), "pr_auc": pr_auc(data)}
    found = resamples.intervals()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name].low, found[name].high) == pytest.approx((value, value)), name


def test_event_recall_varies_with_the_drawn_events() -> None:
    scores = (*BLOCK_SCORES, *(3.0 if score == 3 else 0.0 for score in BLOCK_SCORES))  # the second event is missed
    data = labelled(scores, BLOCK_LABELS * 2, [event(3, 6), event(13, 16)])
    resamples = bootstrap.resample(data, 1, above(data, THRESHOLD))
    assert resamples is not None
    found = resamples.values["event_recall"]
    assert set(found) == {0.0, 0.5, 1.0}
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)
    # The detected event has two rows in alarm, and each block has one normal row in alarm.
    np.testing.assert_allclose(resamples.values["precision"], 2 * found / (2 * found + 1))
    intervals = resamples.intervals()
    assert (intervals["event_recall"].low, intervals["event_recall"].high) == (0.0, 1.0)
    # All resamples with a delay have the same one, so they say nothing about how it varies.
    assert intervals.keys() & {"redundancy", "median_detection_delay_s", "p90_detection_delay_s"} == set()


def test_a_scorer_has_no_advantage_over_itself() -> None:
    first, second = (bootstrap.resample(repeated(3), seed=5) for _ in range(2))
    assert first is not None
    assert second is not None
    for interval in first.differences(second).values():
        assert (interval.low, interval.high) == (0.0, 0.0)


def test_a_single_event_gives_no_resamples_and_intervals_of_rates_alone() -> None:
    data = repeated(1)
    alarms = above(data, THRESHOLD)
    assert bootstrap.resample(data, 1, alarms) is None
    assert bootstrap.intervals(alarms, None).keys() == {"alarms_per_day", "false_alarms_per_day"}


def test_without_alarms_the_interval_of_their_rate_is_that_of_poissons_distribution() -> None:
    # The upper limits of no alarm are 3.689 by the table of Garwood 1936.
    data = repeated(4)
    alarms = above(data, 6.0)
    assert alarms.spans == []
    resamples = bootstrap.resample(data, 1, alarms)
    assert resamples is not None
    drawn, found = resamples.intervals(), bootstrap.intervals(alarms, resamples)
    assert (drawn["alarms_per_day"].low, drawn["alarms_per_day"].high) == (0.0, 0.0)
    assert found["alarms_per_day"].high == pytest.approx(3.689 / data.observed_days, rel=1e-3)
    assert found["false_alarms_per_day"].high == pytest.approx(3.689 / data.normal_days, rel=1e-3)


def test_the_interval_of_a_rate_covers_that_of_the_resamples_and_of_poissons_distribution() -> None:
    noisy = (9.0, 0.0) * 15  # 14 false alarms beside the first event, and none beside the second
    labels, quiet = (0,) * 28 + (1, 1), (0.0,) * 28 + (9.0, 9.0)
    data = labelled((*noisy, *quiet), labels * 2, [event(28, 30), event(58, 60)])
    alarms = above(data, THRESHOLD)
    resamples = bootstrap.resample(data, 1, alarms)
    assert resamples is not None
    drawn = resamples.intervals()["false_alarms_per_day"]
    low, high = poisson_interval(metrics_at(alarms).false_alarms, data.normal_days)
    found = bootstrap.intervals(alarms, resamples)["false_alarms_per_day"]
    assert drawn.low < low
    assert drawn.high < high
    assert (found.low, found.high) == (drawn.low, high)


@given(random_data(), random_rules(), st.integers(0, 9))
def test_resamples_equal_the_metrics_of_the_rows_drawn(data: LabelledScores, rule: AlarmRule, seed: int) -> None:
    alarms = FoundAlarms.by(rule, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 5)
        patch.setattr(bootstrap, "_AT_ONCE", 2)
        resamples = bootstrap.resample(data, seed, alarms)
    starts = bootstrap.block_starts(data)
    assert (resamples is None) == (len(starts) < 2)
    if resamples is None:
        return
    draws = np.random.default_rng(seed).multinomial(len(starts), np.full(len(starts), 1 / len(starts)), 5)
    blocks = np.split(np.arange(len(data.scores)), starts[1:])
    for number, draw in enumerate(draws):
        rows = np.concatenate([np.tile(block, times) for block, times in zip(blocks, draw, strict=True)])
        for name, value in {**drawn_metrics(data, rows, alarms), **drawn_alarms(alarms, rows)}.items():
            if name in resamples.values:
                assert resamples.values[name][number] == pytest.approx(value, nan_ok=True), name


def drawn_metrics(data: LabelledScores, rows: npt.NDArray[np.int64], alarms: FoundAlarms) -> dict[str, float]:
    """Return the metrics of rows, which may repeat, by scikit-learn; NaN for undefined metrics."""
    labels, scores, alarm = data.labels[rows], data.scores[rows].astype(np.float64), alarms.rows[rows]
    return {
        "roc_auc": roc_auc_score(labels, scores) if 0 < labels.sum() < len(labels) else np.nan,
        "pr_auc": average_precision_score(labels, scores) if labels.any() else np.nan,
        "precision": precision_score(labels, alarm) if alarm.any() else np.nan,
        "recall": recall_score(labels, alarm) if labels.any() else np.nan,
        "f1": f1_score(labels, alarm, zero_division=0),
    }


def drawn_alarms(alarms: FoundAlarms, rows: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return the metrics of the alarms and events that start in rows, which may repeat; NaN for undefined metrics."""
    data, drawn = alarms.data, rows.tolist()
    delays = iter(alarms.delays_s.tolist())
    events = [
        (drawn.count(first), count, next(delays) if count else np.nan)
        for (first, _), count in zip(data.event_bounds.tolist(), alarms.alarms_per_event.tolist(), strict=True)
    ]
    starts = [(drawn.count(first), false) for (first, _), false in zip(alarms.bounds, alarms.false, strict=True)]
    count, false = sum(times for times, _ in starts), sum(times for times, is_false in starts if is_false)
    found = sum(times for times, hits, _ in events if hits)
    delay = [late for times, hits, late in events if hits for _ in range(times)]
    normal = rows[data.labels[rows] == 0]
    normal_days, quiet_days = data.days[normal].sum(), data.days[normal][~alarms.rows[normal]].sum()
    recall = found / sum(times for times, _, _ in events)
    corrected = (
        found / (found + false) * quiet_days / normal_days if count and found + false and normal_days else np.nan
    )
    return {
        "alarms_per_day": count / data.days[rows].sum(),
        "false_alarms_per_day": false / normal_days if normal_days else np.nan,
        "alarm_precision": 1 - false / count if count else np.nan,
        "redundancy": sum(times * hits for times, hits, _ in events) / found if found else np.nan,
        "event_recall": recall,
        "event_f05": float(f_beta(np.nan_to_num(corrected), recall)),
        "median_detection_delay_s": float(np.median(delay)) if delay else np.nan,
        "p90_detection_delay_s": float(np.quantile(delay, 0.9)) if delay else np.nan,
    }


def test_bins_are_not_more_than_rows() -> None:
    data = repeated(4)
    normal, anomalous = bootstrap.histograms(data, bootstrap.block_starts(data))
    assert normal.shape == anomalous.shape == (4, len(set(BLOCK_SCORES)))
    assert [int(counts.sum()) for counts in (normal, anomalous)] == [28, 12]

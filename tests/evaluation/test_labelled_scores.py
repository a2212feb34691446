"""Labelled scores: bounds of events, gaps, and rejected input."""

from dataclasses import replace

import numpy as np
import pytest

from container_component_src.errors import InputError
from tests.evaluation.labelled_data import DAY_S, event, labelled, ten_seconds


def test_touching_and_overlapping_events_have_peaks_of_their_own() -> None:
    events = [event(2, 4, "A"), event(4, 6, "B"), event(5, 8, "C"), event(50, 60, "without rows")]
    data = labelled(list(range(10)), [0, 0, 0, 0, 0, 9, 0, 0, 0, 0], events)
    assert [item.id for item in data.events_with_rows] == ["A", "B", "C"]
    assert data.event_peaks.tolist() == [0.0, 9.0, 9.0]


def test_the_end_of_an_event_is_exclusive_and_the_last_row_counts() -> None:
    data = labelled(list(range(5)), [0, 0, 3, 0, 4], [event(1, 2, "A"), event(4, 9, "B")])
    assert data.event_peaks.tolist() == [0.0, 4.0]


def test_gaps_are_not_observed_time() -> None:
    seconds = [0, 1, 2, 3, 1000, 1001, 1002, 1003]
    data = labelled(seconds, [0, 0, 0, 9, 9, 0, 0, 0], [event(1, 2)])
    assert data.observed_days == pytest.approx(8 / DAY_S)
    assert data.normal_days == pytest.approx(7 / DAY_S)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.zeros(9)}, "10 timestamps, 9 scores and 10 labels"),
        ({"labels": np.zeros(10, np.int8)}, "no test row is labelled as anomalous"),
        ({"labels": np.ones(10, np.int8)}, "every test row is labelled as anomalous"),
        ({"labels": np.full(10, 2, np.int8)}, "neither 0 nor 1"),
        ({"scores": np.array([0.0] * 3 + [np.nan] * 7)}, "row 3 is not finite"),
        ({"events": []}, "no reported event has rows"),
        ({"events": [event(100, 200)]}, "no reported event has rows"),
    ],
)
def test_rejects_degenerate_data(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(ten_seconds(), **changes)  # type: ignore[arg-type]

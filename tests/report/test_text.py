"""Texts of numbers and times."""

from typing import Any

import pytest

from container_component_src.evaluation.result import EvaluationResult, Interval
from container_component_src.report.text import (
    NONE,
    duration,
    fraction,
    integer,
    interval_texts,
    rate,
    short_number,
    utc,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, NONE),
        (0.0, "0 s"),
        (62.0, "62 s"),
        (119.9, "120 s"),
        (120.0, "2 min"),
        (5400.0, "90 min"),
        (200_000.0, "2.31 d"),
        (-90.0, "-90 s"),  # an alarm before the event
        (-5400.0, "-90 min"),
    ],
)
def test_durations_use_the_largest_unit_with_at_least_two(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_numbers() -> None:
    assert short_number(12.34567) == "12.35"
    assert fraction(0.98765) == "0.988"
    assert (rate(0.5162), rate(1234.5)) == ("0.52", "1\u202f234")
    assert short_number(None) == fraction(None) == rate(None) == NONE
    assert integer(1_036_800) == "1\u202f036\u202f800"


def test_intervals_have_the_unit_of_their_metric() -> None:
    known: dict[str, Any] = {
        "intervals": {
            "composite_f1": Interval(low=0.12345, high=1.0),
            "alarms_per_day": Interval(low=0.51234, high=1234.0),
            "redundancy": Interval(low=1.0, high=2.345),
            "median_detection_delay_s": Interval(low=-90.0, high=5400.0),
        }
    }
    assert interval_texts(EvaluationResult.model_construct(**known)) == {
        "composite_f1": "0.123 to 1.000",
        "alarms_per_day": "0.51 to 1\u202f234",
        "redundancy": "1 to 2.3",
        "median_detection_delay_s": "-90 s to 90 min",
    }


def test_times_are_utc() -> None:
    assert utc(1_600_000_000 * 10**9) == "2020-09-13 12:26:40"

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
    scale_texts,
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
    assert (short_number(12.34567), short_number(-0.5), short_number(0.0)) == ("12.3", "-0.5", "0")
    assert (short_number(999.7), short_number(-1234567.8)) == ("1\u202f000", "-1\u202f230\u202f000")
    assert (short_number(1.25e-7), short_number(3.456e12)) == ("1.25e-07", "3.46e+12")
    assert (short_number(12.0, sign=True), short_number(4335.0, sign=True)) == ("+12", "+4\u202f340")
    assert (fraction(0.98765), fraction(1.0), fraction(0.0123), fraction(0.0)) == ("0.988", "1.00", "0.0123", "0.00")
    assert (fraction(-1e-9), fraction(0.05, sign=True)) == ("0.00", "+0.0500")
    assert (short_number(0.5162), short_number(1234.5)) == ("0.516", "1\u202f230")
    assert short_number(None) == fraction(None) == short_number(None) == NONE
    assert integer(1_036_800) == "1\u202f036\u202f800"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.1234, 0.9876], ["0.123", "0.988"]),
        ([-44.83, -38.8], ["-44.8", "-38.8"]),
        ([1005.31, 1016.52], ["1\u202f005", "1\u202f017"]),  # three digits would move the ends by half of the range
        ([207.24, 213.41], ["207.2", "213.4"]),
        ([0.0, 123_456.0], ["0", "123\u202f456"]),
        ([5.0, 5.0], ["5.00", "5.00"]),
        ([0.0, 0.0], ["0", "0"]),
    ],
)
def test_numbers_of_one_scale_can_be_told_apart(values: list[float], texts: list[str]) -> None:
    assert scale_texts(values) == texts


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
        "composite_f1": "0.123 to 1.00",
        "alarms_per_day": "0.512 to 1\u202f230",
        "redundancy": "1 to 2.35",
        "median_detection_delay_s": "-90 s to 90 min",
    }


def test_times_are_utc() -> None:
    assert utc(1_600_000_000 * 10**9) == "2020-09-13 12:26:40"

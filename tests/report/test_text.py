"""Texts of numbers and times."""

import pytest

from container_component_src.report.text import NONE, duration, fraction, integer, rate, short_number, utc


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


def test_times_are_utc() -> None:
    assert utc(1_600_000_000 * 10**9) == "2020-09-13 12:26:40"

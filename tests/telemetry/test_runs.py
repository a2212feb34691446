"""Runs of rows: by hand, and that they are the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.telemetry.runs import runs_of


def boolean(text: str) -> np.ndarray:
    return np.array([character == "1" for character in text], dtype=bool)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("0110010", [[1, 3], [5, 6]]),
        ("111", [[0, 3]]),
        ("1", [[0, 1]]),
        ("000", []),
        ("", []),
    ],
)
def test_by_hand(rows: str, expected: list[list[int]]) -> None:
    assert runs_of(boolean(rows)).tolist() == expected


def test_a_gap_ends_a_run() -> None:
    assert runs_of(boolean("01110"), boolean("00101")).tolist() == [[1, 3], [3, 4]]


@given(st.lists(st.booleans(), min_size=1), st.randoms())
def test_the_runs_are_the_true_rows(rows: list[bool], random: np.random.Generator) -> None:
    gaps = np.array([random.random() < 0.3 for _ in rows])
    for runs in (runs_of(np.array(rows)), runs_of(np.array(rows), gaps)):
        covered = [row for first, stop in runs for row in range(first, stop)]
        assert covered == np.flatnonzero(rows).tolist()

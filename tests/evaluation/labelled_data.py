"""Labelled scores, written by hand and drawn at random."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.telemetry.events import Event, row_bounds
from container_component_src.telemetry.smoothing import default_max_gap

SECOND = 1_000_000_000
DAY_S = 86_400


def event(start: int, end: int, name: str = "A-1") -> Event:
    return Event(id=name, start=start * SECOND, end=end * SECOND)


def labelled(
    seconds: list[int], scores: list[float], events: list[Event], rare_nominal: Sequence[Event] = ()
) -> LabelledScores:
    timestamps = np.array(seconds, dtype=np.int64) * SECOND
    labels = np.zeros(len(seconds), dtype=np.int8)
    for start, stop in row_bounds(timestamps, events):
        labels[start:stop] = 1
    return LabelledScores(timestamps, np.array(scores, dtype=np.float64), labels, events, rare_nominal)


def above(data: LabelledScores, threshold: float) -> FoundAlarms:
    """Return the alarms of a single level, which a gap in the data ends."""
    max_gap = default_max_gap(data.timestamps)
    return FoundAlarms.by(AlarmRule(raise_above=threshold, clear_below=threshold, max_gap_ns=max_gap), data)


def ten_seconds() -> LabelledScores:
    #        second  0  1  2  3  4  5  6  7  8  9, anomalous in 2 to 4 and 7
    return labelled(list(range(10)), [0, 5, 1, 6, 7, 6, 0, 1, 8, 0], [event(2, 5, "A-1"), event(7, 8, "A-2")])


@st.composite
def random_data(draw: st.DrawFn) -> LabelledScores:
    rows = draw(st.integers(4, 30))
    seconds = np.cumsum(draw(arrays(np.int64, rows, elements=st.sampled_from([1, 1, 1, 2, 90])))).tolist()
    kind = draw(st.sampled_from([np.float32, np.float64]))
    scores = draw(arrays(kind, rows, elements=st.integers(-4, 4).map(lambda value: value / 2)))
    # The first row stays normal. Events start at a row and may overlap and end between rows or after the data.
    rows_and_lengths = draw(st.lists(st.tuples(st.integers(1, rows - 1), st.integers(1, 100)), min_size=1, max_size=4))
    spans = enumerate(rows_and_lengths)  # which may be equal
    events = [event(seconds[row], seconds[row] + length, f"A-{number}") for number, (row, length) in spans]
    return replace(labelled(seconds, [0.0] * rows, events), scores=scores)


@st.composite
def random_rules(draw: st.DrawFn) -> AlarmRule:
    """Draw rules for the scores and time steps of `random_data`."""
    low, high = sorted(draw(st.tuples(*[st.integers(-4, 4).map(lambda value: value / 2 - 0.25)] * 2)))
    duration, merged = draw(st.tuples(*[st.integers(0, 4).map(lambda steps: steps * SECOND)] * 2))
    gap = draw(st.sampled_from([None, 10 * SECOND]))
    return AlarmRule(raise_above=high, clear_below=low, min_duration_ns=duration, merge_gap_ns=merged, max_gap_ns=gap)

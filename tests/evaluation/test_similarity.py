"""Similarity of events by hand, and invariants."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.evaluation.event_result import ChannelExcess
from container_component_src.evaluation.similarity import LEAST_SIMILARITY, MOST_SIMILAR, similar_events


def ranking(*excess: float) -> list[ChannelExcess]:
    """Return a ranking of channels a, b, c, of which each has an excess."""
    items = [ChannelExcess(channel=name, excess=value) for name, value in zip("abc", excess, strict=True)]
    return sorted(items, key=lambda item: -item.excess)


def found(*events: Sequence[float]) -> list[dict[int, float]]:
    """Return for each event the similarity of others by their position, the most similar first."""
    similar = similar_events([ranking(*excess) for excess in events])
    return [{item.position: item.similarity for item in items} for items in similar]


def test_the_similarity_is_the_cosine_between_the_excesses() -> None:
    first, second, third = found((3, 4, 0), (4, 3, 0), (0, 4, 3))
    assert first == {1: pytest.approx(24 / 25), 2: pytest.approx(16 / 25)}
    assert second == {0: pytest.approx(24 / 25)}  # (4, 3, 0) and (0, 4, 3) have 12 / 25, which is too little
    assert list(first) == [1, 2]
    assert third == {0: pytest.approx(16 / 25)}


def test_the_size_of_the_excess_does_not_count() -> None:
    first, second = found((1e-30, 2e-30, 0), (1e30, 2e30, 0))
    assert first == {1: pytest.approx(1)}
    assert second == {0: pytest.approx(1)}


def test_what_channels_contribute_less_than_usual_does_not_count() -> None:
    first, second = found((5, -1, 0), (2, 0, -7))
    assert (first, second) == ({1: 1.0}, {0: 1.0})


def test_an_event_without_excess_resembles_none() -> None:
    assert found((0, 0, 0), (-1, -2, 0), (1, 0, 0), (0, 1, 0)) == [{}, {}, {}, {}]


def test_no_event_and_a_single_one() -> None:
    assert found() == []
    assert found((1, 2, 3)) == [{}]


@given(st.lists(st.tuples(*[st.floats(-100, 1e6) for _ in range(3)]), max_size=8))
def test_invariants(events: list[tuple[float, float, float]]) -> None:
    similar = found(*events)
    assert len(similar) == len(events)
    for position, items in enumerate(similar):
        assert position not in items
        assert len(items) <= MOST_SIMILAR
        assert all(LEAST_SIMILARITY <= value <= 1 for value in items.values())
        assert list(items.values()) == sorted(items.values(), reverse=True)
        for other, value in items.items():
            assert similar[other].get(position, value) == pytest.approx(value)

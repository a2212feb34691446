"""Root causes by hand, and invariants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.evaluation.event_result import ChannelExcess
from container_component_src.evaluation.root_cause import Diagnosis, channel_scores, hit_rate, root_cause
from container_component_src.telemetry.events import Event

NAMES = list("abcdef")


def event(start: int, end: int, *causes: str) -> Event:
    return Event(id=f"A-{start}", start=start, end=end, causes=causes)


def diagnosis(ranking: str, in_alarm: str) -> Diagnosis:
    return Diagnosis(
        tuple(ChannelExcess(channel=name, excess=-place) for place, name in enumerate(ranking)), frozenset(in_alarm)
    )


@pytest.mark.parametrize(
    ("causes", "at_100", "at_150"),
    [
        ("a", 1, 1),
        ("b", 0, 0),  # 150 % of one channel is one channel
        ("ab", 1, 1),
        ("ac", 1 / 2, 1),  # 150 % of two is three
        ("cde", 1 / 3, 2 / 3),  # 150 % of three is four
        ("ax", 1 / 2, 1 / 2),  # the data has no such channel
    ],
)
def test_hit_rates_by_hand(causes: str, at_100: float, at_150: float) -> None:
    assert hit_rate(NAMES, list(causes), 100) == pytest.approx(at_100)
    assert hit_rate(NAMES, list(causes), 150) == pytest.approx(at_150)


def test_channel_scores_by_hand() -> None:
    first = event(0, 10, "a", "b")
    precision, recall, f05 = channel_scores("acd", first, [first])
    assert (precision, recall) == pytest.approx((1 / 3, 1 / 2))
    assert f05 == pytest.approx(1.25 * (1 / 6) / (0.25 / 3 + 1 / 2))
    assert channel_scores("cd", first, [first]) == (0, 0, 0)
    assert channel_scores("", first, [first]) == (0, 0, 0)


def test_a_cause_of_another_event_at_the_same_time_is_no_false_channel() -> None:
    first, overlapping, later = event(0, 10, "a"), event(9, 20, "b"), event(10, 30, "c")
    assert channel_scores("ab", first, [first, overlapping, later]) == (1, 1, 1)
    assert channel_scores("ac", first, [first, overlapping, later])[0] == 1 / 2


def test_means_over_the_events_with_causes() -> None:
    events = event(0, 10, "a"), event(20, 30, "c", "d"), event(40, 50), event(60, 70, "b")
    diagnoses = dict(
        zip(
            events,
            [diagnosis("abcd", "a"), diagnosis("cabd", "cb"), diagnosis("dcba", "d"), diagnosis("bacd", "b")],
            strict=True,
        )
    )
    found = root_cause(diagnoses, detected=events[:3])  # the last is not detected
    assert found is not None
    assert found.events == 3
    assert found.hit_rate_100 == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found.hit_rate_150 == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found.channel_precision == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found.channel_recall == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found.channel_f05 == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_without_causes_there_is_no_result() -> None:
    assert root_cause({event(0, 10): diagnosis("ab", "a")}, [event(0, 10)]) is None


@given(st.permutations(NAMES), st.sets(st.sampled_from(NAMES), min_size=1))
def test_a_longer_list_hits_no_less_and_all_channels_hit_all(ranking: list[str], causes: set[str]) -> None:
    rates = [hit_rate(ranking, sorted(causes), percent) for percent in (0, 50, 100, 150, 600)]
    assert rates == sorted(rates)
    assert (rates[0], rates[-1]) == (0, 1)

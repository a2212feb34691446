"""Verdicts as events: what outweighs what, what is joined, and the IDs."""

import logging
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.telemetry.events import Event
from container_component_src.telemetry.feedback import Judged, judge
from container_component_src.telemetry.verdicts import Feedback, Verdict


def verdict(
    name: str, start: int, end: int, said: str = "true", at: int = 0, comment: str = "", subsystem: str = ""
) -> Feedback:
    return Feedback(
        alarm_id=name, start=start, end=end, verdict=Verdict(said), at=at, comment=comment, subsystem=subsystem
    )


def reported(start: int, end: int, name: str = "AR-1") -> Event:
    return Event(id=name, start=start, end=end)


def spans(events: tuple[Event, ...]) -> list[tuple[str, int, int]]:
    return [(event.id, event.start, event.end) for event in events]


feedbacks = st.lists(
    st.builds(
        lambda name, start, length, said, at: verdict(f"A-{name}", start, start + length, said, at),
        st.integers(0, 10**6),
        st.integers(0, 60),
        st.integers(0, 12),
        st.sampled_from(["true", "false", "rare_nominal"]),
        st.integers(0, 5),
    ),
    max_size=8,
    unique_by=lambda item: item.alarm_id,
)
reports = st.lists(
    st.builds(lambda start, length: reported(start, start + length), st.integers(0, 60), st.integers(1, 12)), max_size=3
)


def test_each_verdict_makes_events_of_its_kind() -> None:
    judged = judge(
        [
            verdict("A", 10, 19, comment="leak", subsystem="air"),
            verdict("B", 30, 39, "false"),
            verdict("C", 50, 50, "rare_nominal", comment="docking"),
        ],
        [reported(100, 110)],
    )
    # The last row of an alarm is part of it, and the end of an event is not.
    assert judged == Judged(
        (Event(id="A", symbol="air", title="leak", start=10, end=20, origin="verdict"),),
        (Event(id="C", title="docking", start=50, end=51, origin="verdict"),),
        (Event(id="B", start=30, end=40, origin="verdict"),),
    )


def test_a_report_outweighs_every_verdict(caplog: pytest.LogCaptureFixture) -> None:
    said = [verdict("T", 5, 10), verdict("F", 12, 14, "false"), verdict("R", 19, 30, "rare_nominal")]
    with caplog.at_level(logging.INFO):
        assert judge(said, [reported(10, 20)]) == Judged()
    assert caplog.messages == [
        "1 verdicts confirm anomaly reports: T",
        "2 verdicts contradict anomaly reports and are ignored: F, R",
    ]


def test_an_alarm_beside_a_report_does_not_overlap_it() -> None:
    judged = judge([verdict("before", 5, 9), verdict("after", 20, 30, "false")], [reported(10, 20)])
    assert (spans(judged.anomalies), spans(judged.false_alarms)) == ([("before", 5, 10)], [("after", 20, 31)])


def test_of_contradicting_verdicts_the_later_counts(caplog: pytest.LogCaptureFixture) -> None:
    # B contradicts A and C. It is later than A and earlier than C, so A, which C does not overlap, counts.
    said = [verdict("A", 0, 10, "true", 1), verdict("B", 8, 20, "false", 2), verdict("C", 18, 30, "rare_nominal", 3)]
    judged = judge(said, [])
    assert (spans(judged.anomalies), spans(judged.rare_nominal)) == ([("A", 0, 11)], [("C", 18, 31)])
    assert judged.false_alarms == ()
    assert caplog.messages == [
        "the verdict 'false' on alarm B is ignored: alarm C overlaps it and was judged 'rare_nominal' later"
    ]


def test_overlapping_alarms_of_the_same_verdict_are_one_event() -> None:
    said = [verdict("B", 8, 20, comment="leak"), verdict("A", 0, 10, comment="leak"), verdict("C", 20, 25, comment="x")]
    (event,) = judge(said, []).anomalies
    assert (event.id, event.start, event.end, event.title) == ("A", 0, 26, "leak; x")


def test_ids_differ_from_those_of_reports() -> None:
    events = [reported(100, 110, "A"), reported(120, 130, "A-2")]
    assert spans(judge([verdict("A", 0, 9)], events).anomalies) == [("A-3", 0, 10)]


@given(feedbacks, reports, st.randoms())
def test_the_order_of_the_rows_does_not_matter(feedback: list[Feedback], events: list[Event], random: Random) -> None:
    shuffled, other = feedback[:], events[:]
    random.shuffle(shuffled)
    random.shuffle(other)
    assert judge(shuffled, other) == judge(feedback, events)


@given(feedbacks, reports)
def test_no_time_has_two_meanings(feedback: list[Feedback], events: list[Event]) -> None:
    judged = judge(feedback, events)
    found = [*judged.anomalies, *judged.rare_nominal, *judged.false_alarms]
    times = [time for event in found for time in range(event.start, event.end)]
    assert len(times) == len({*times})
    assert not {*times}.intersection(time for event in events for time in range(event.start, event.end))
    assert len({event.id for event in found}) == len(found)


@given(feedbacks, reports)
def test_the_latest_verdict_of_all_counts_unless_a_report_outweighs_it(
    feedback: list[Feedback], events: list[Event]
) -> None:
    said = [item.model_copy(update={"at": 10}) if number == 0 else item for number, item in enumerate(feedback)]
    for latest in said[:1]:
        covered = any(event.start <= latest.end and latest.start < event.end for event in events)
        judged = judge(said, events)
        of_kind = {"true": judged.anomalies, "false": judged.false_alarms, "rare_nominal": judged.rare_nominal}
        assert covered != any(
            event.start <= latest.start and latest.end < event.end for event in of_kind[latest.verdict]
        )

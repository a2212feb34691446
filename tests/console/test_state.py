import pytest

from container_component_src.alarms.tracker import AlarmState
from container_component_src.console import state as states
from container_component_src.console.state import Dead, Readings, State
from tests.console.consoles import CHANNELS, START, alarm, drift
from tests.console.test_verdict_table import verdict


def test_only_what_has_changed_is_told() -> None:
    state = State()
    first = Readings(
        alarms={alarm().id: alarm()},
        verdicts={"0001": verdict(1)},
        drift=drift(CHANNELS[0]),
        dead=Dead(START, {CHANNELS[0]: 0}),
        problems={"drift": "missing"},
    )
    assert [name for name, _ in state.apply(first)] == ["alarms", "verdicts", "drift", "dead", "problems"]
    again = Readings(verdicts=first.verdicts, drift=first.drift, dead=first.dead, problems=first.problems)
    assert state.apply(again) == []
    assert state.apply(Readings()) == []
    assert [name for name, _ in state.apply(Readings(problems={}))] == ["problems"]


def test_a_replaced_file_has_all_alarms() -> None:
    state = State()
    state.apply(Readings(alarms={alarm(0).id: alarm(0)}))
    changes = state.apply(Readings(alarms={alarm(1).id: alarm(1)}, all_alarms=True))
    assert changes == [("reset", {})]
    assert [item["id"] for item in state.shown()["alarms"]] == [alarm(1).id]


def test_many_alarms_are_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MOST_IN_EVENT", 2)
    changes = State().apply(Readings(alarms={alarm(number).id: alarm(number) for number in range(5)}))
    assert [len(content) for _, content in changes] == [2, 2, 1]


def test_the_newest_state_of_an_alarm_counts() -> None:
    state = State()
    for of_alarm in (alarm(0, AlarmState.OPENED, 10), alarm(0, AlarmState.CLOSED, 20)):
        ((name, (content,)),) = state.apply(Readings(alarms={of_alarm.id: of_alarm}))
        assert (name, content["state"]) == ("alarms", of_alarm.state.value)
    assert len(state.shown()["alarms"]) == 1


def test_a_verdict_that_was_given_is_no_change_when_it_is_read() -> None:
    state = State()
    state.give(verdict(1))
    assert state.apply(Readings(verdicts={"0001": verdict(1)})) == []

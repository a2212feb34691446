import sys
from unittest import mock

import pytest

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from container_component_src.serving.server import workers

SHORT = 0.01  # seconds to wait for an answer that does not come


def test_a_worker_may_be_late_to_its_first_ping_alone() -> None:
    process = workers.PatientProcess([], print)
    assert [process.ping(SHORT) for _ in range(3)] == [True] * 3
    process.pong()
    assert process.ping(SHORT)
    assert not process.ping(SHORT)


def test_a_worker_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_START_SECONDS", -1.0)
    assert not workers.PatientProcess([], print).ping(SHORT)

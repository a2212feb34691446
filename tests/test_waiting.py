import time

import pytest

from container_component_src.errors import StepError
from container_component_src.waiting import NotReadyError, wait_for


def test_an_outage_of_the_api_server_does_not_count_as_waiting() -> None:
    attempts: list[None] = []

    def attempt() -> str:
        attempts.append(None)
        if len(attempts) == 3:
            return "ready"
        time.sleep(0.2)
        raise NotReadyError("not yet")

    assert wait_for(attempt, 0.1, 0.01, "it", outage=0.15) == "ready"
    attempts.clear()
    with pytest.raises(StepError, match=r"waited 0\.1 s for it: not yet; wait longer$"):
        wait_for(attempt, 0.1, 0.01, "it", fix="wait longer")


def test_other_errors_end_the_wait() -> None:
    def attempt() -> None:
        raise StepError("refused")

    with pytest.raises(StepError, match=r"^refused$"):
        wait_for(attempt, 60, 0.01, "it")

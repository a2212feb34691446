import logging

import pytest

from container_component_src.progress import Progress, duration, last_told


class Clock:
    """Time that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_remaining_time_follows_from_the_parts_that_are_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = Progress("trial", 8, clock=clock)
    progress.log(0)
    clock.seconds += 30
    progress.log(2, "best val_loss 1.5")
    clock.seconds += 70
    progress.log(8, "best val_loss 1.5")
    assert caplog.messages == [
        "trial 0/8", "trial 2/8, about 90 s left, best val_loss 1.5", "trial 8/8, best val_loss 1.5"
    ]  # fmt: skip


def test_parts_that_were_done_before_took_no_time() -> None:
    clock = Clock()
    progress = Progress("epoch", 20, done=10, all_run=False, clock=clock)
    assert progress.remaining(10) == ""
    clock.seconds += 60
    assert progress.remaining(11) == "at most 9 min left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (99.4, "99 s"), (100, "2 min"), (3600, "60 min"), (6000, "1.7 h"), (360_000, "100.0 h")],
)
def test_durations_have_a_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_last_progress_is_found_among_other_lines_of_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    handler = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")  # that of the program
    for done in (1, 2):
        Progress("trial", 3).log(done)
    lines = [handler.format(record) for record in caplog.records]
    assert last_told([*lines, "error: progress: none", "val_loss=3"]).startswith("trial 2/3")
    assert last_told(["progress: trial 1/3", ""]) == ""
    assert last_told([]) == ""

"""Progress of a long step: log lines with what is done and the expected time that remains.

A local run shows the last of these lines beside the step.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable

_LOGGER = "progress"
_LINE = re.compile(rf" INFO {_LOGGER}: (.+)")  # as the program's log has it

logger = logging.getLogger(_LOGGER)


class Progress:
    """Progress of a step whose parts take about the same time.

    Args:
        part: Name of a part.
        total: Number of parts.
        done: Number of parts that were done before.
        all_run: Whether all parts will run; otherwise the remaining time is an upper bound.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, part: str, total: int, done: int = 0, all_run: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._part, self._total, self._before = part, total, done
        self._about = "about" if all_run else "at most"
        self._clock = clock
        self._began = clock()

    def log(self, done: int, text: str = "") -> None:
        """Log how many parts are done, when the rest will be, and a text about the results so far."""
        logger.info("%s", ", ".join(filter(None, [f"{self._part} {done}/{self._total}", self.remaining(done), text])))

    def remaining(self, done: int) -> str:
        """Return the expected time for the other parts as text; empty if nothing is known or nothing remains."""
        if done <= self._before or done >= self._total:
            return ""
        seconds = (self._clock() - self._began) / (done - self._before) * (self._total - done)
        return f"{self._about} {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Return a duration as text, such as `40 s`, `3 min` or `1.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def last_told(lines: Iterable[str]) -> str:
    """Return the last progress that lines of a log tell; empty if they tell none."""
    return next((found[1] for line in reversed([*lines]) if (found := _LINE.search(line))), "")

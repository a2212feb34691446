"""Deferring signals while something must not be interrupted, and noticing that the starting process was killed."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDS_WITH_INPUT = "ENDS_WITH_STDIN"  # variable of a process whose standard input is a pipe from the one that started it


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer SIGTERM and SIGINT until the block ends."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        yield
        return
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    previous = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


def end_with_input() -> None:
    """Kill this process, and its group if it leads one, when standard input ends: the process that started it is gone.

    It does not matter how that process ended: SIGKILL, too, closes its end of the pipe.
    """

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(-os.getpid() if os.getpgrp() == os.getpid() else os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()

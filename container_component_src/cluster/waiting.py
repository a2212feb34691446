"""Waiting with an end."""

import time
from collections.abc import Iterator

from container_component_src.errors import StepError


def polls(timeout: float, interval: float, what: str) -> Iterator[float]:
    """Yield, with pauses, until the caller has seen what it waits for.

    Args:
        timeout: Seconds until the wait fails.
        interval: Seconds between two polls.
        what: What is waited for and how to fix its absence, for the message: "x to end; raise --job-timeout".

    Yields:
        Seconds since the start.

    Raises:
        StepError: The time is over.
    """
    start = time.monotonic()
    while True:
        elapsed = time.monotonic() - start
        yield elapsed
        if elapsed >= timeout:
            raise StepError(f"waited {timeout:g} s for {what}")
        time.sleep(min(interval, timeout - elapsed))

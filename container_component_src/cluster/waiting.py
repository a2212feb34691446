"""Polling with a deadline."""

import time
from collections.abc import Iterator

from container_component_src.errors import StepError


def polls(timeout: float, interval: float, what: str, *, fix: str = "") -> Iterator[float]:
    """Yield at intervals until the caller stops iterating.

    Args:
        timeout: Seconds until the wait fails.
        interval: Seconds between two polls.
        what: What is awaited, for the message, as in "job x to finish".
        fix: What the user can do if it does not happen, for the message.

    Yields:
        Seconds since the start.

    Raises:
        StepError: The timeout has passed.
    """
    start = time.monotonic()
    while True:
        elapsed = time.monotonic() - start
        yield elapsed
        if elapsed >= timeout:
            raise StepError(f"waited {timeout:g} s for {what}", fix=fix)
        time.sleep(min(interval, timeout - elapsed))

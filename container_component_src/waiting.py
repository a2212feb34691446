"""Waiting with a deadline."""

import math
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TypeVar

from container_component_src.errors import StepError

T = TypeVar("T")

TRANSIENT_STATUSES = {  # HTTP statuses that a later attempt may not get
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class NotReadyError(StepError):
    """What is awaited has not happened yet."""


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


def wait_for(
    attempt: Callable[[], T],
    timeout: float,
    interval: float,
    what: str,
    *,
    fix: str = "",
    not_ready: type[StepError] = NotReadyError,
    outage: float = math.inf,
) -> T:
    """Repeat an attempt until it succeeds.

    Args:
        attempt: Returns the result, or raises `not_ready` with the reason.
        timeout: Seconds until the wait fails.
        interval: Seconds between two attempts.
        what: What is awaited, for the message, as in `polls`.
        fix: What the user can do if it does not happen, for the message.
        not_ready: Error that leads to another attempt; other errors end the wait.
        outage: Seconds; a longer attempt restarts the timeout, because the API server was unreachable.

    Returns:
        The result of the first attempt that succeeds.

    Raises:
        StepError: The timeout has passed; the message has the last reason.
    """
    attempts, reason = polls(timeout, interval, what), StepError("")
    while True:
        try:
            next(attempts)
        except StepError as error:
            raise StepError(f"{error}: {reason}", fix=fix) from reason
        started = time.monotonic()
        try:
            return attempt()
        except not_ready as error:
            reason = error
        if time.monotonic() - started > outage:
            attempts = polls(timeout, interval, what)

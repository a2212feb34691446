"""Attempts that are repeated while something is away."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential

from container_component_src.errors import StepError

T = TypeVar("T")

_FIRST, _LONGEST = 0.5, 30.0  # seconds between two attempts

logger = logging.getLogger(__name__)


async def persist(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Return the result of the first attempt that does not fail with a StepError.

    Args:
        attempt: What is tried.
        seconds: Time after which the last error is raised.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StepError),
        wait=wait_exponential(_FIRST, max=_LONGEST),
        stop=stop_after_delay(seconds),
        before_sleep=_warn,
        reraise=True,
    )

    async def awaited() -> T:  # tenacity awaits functions only that are declared so
        return await attempt()

    return await retrying(awaited)


def _warn(state: RetryCallState) -> None:
    reason = state.outcome.exception() if state.outcome else None
    logger.warning("%s (attempt %d; the stream waits)", reason, state.attempt_number)

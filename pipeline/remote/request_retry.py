"""Repetition of API requests while a platform restarts or cannot be reached."""

import logging
from collections.abc import Callable
from typing import TypeVar

import tenacity

from container_component_src.once import WarnOnce
from pipeline.login.errors import PlatformError

logger = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_SECONDS = 600.0  # a gateway or API server that restarts needs minutes
POLL_INTERVAL = 5.0  # seconds


class RequestRetrier:
    """Repeats requests after errors that may pass, such as a gateway that restarts or a lost connection.

    Attributes:
        warn: Logs a warning; each text once.
    """

    def __init__(self) -> None:
        self.warn = WarnOnce(logger)

    def call(self, request: Callable[[], T]) -> T:
        """Make a request until it succeeds.

        Raises:
            InputError: The platform rejects the login.
            PlatformError: The platform refuses the request, or has not answered for `RETRY_SECONDS`.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, PlatformError) and error.is_transient_after_login
            ),
            stop=tenacity.stop_after_delay(RETRY_SECONDS),
            wait=tenacity.wait_fixed(POLL_INTERVAL),
            before_sleep=lambda state: self.warn(f"{state.outcome and state.outcome.exception()}; retrying"),
            reraise=True,
        )
        return retrying(request)

"""Requests that are made again for some minutes, since what is wrong may pass."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from container_component_src.once import WarnOnce
from pipeline.login.errors import PlatformError

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 600.0  # that a platform whose login has worked may answer wrongly or not at all
POLL_INTERVAL = 5.0  # seconds


class Patience:
    """Rides out a gateway that restarts, a lost connection, and a login that cannot be looked at just now."""

    def __init__(self) -> None:
        self.warn = WarnOnce(logger)

    def ask(self, request: Callable[[], T]) -> T:
        """Make a request until it is answered.

        Raises:
            InputError: The platform does not take the login any more.
            PlatformError: The platform refuses, or has not answered for `PATIENCE_SECONDS`.
        """
        start = time.monotonic()
        while True:
            try:
                return request()
            except PlatformError as error:
                if not error.may_pass_after_login or time.monotonic() - start >= PATIENCE_SECONDS:
                    raise
                self.warn(f"{error}; asking again")
            time.sleep(POLL_INTERVAL)

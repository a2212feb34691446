"""Controllers that threads play on the emulated cluster."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar


class Controller(Protocol):
    """What acts on objects until it is stopped."""

    stopped: threading.Event

    def run(self) -> None:
        """Act until stopped."""


C = TypeVar("C", bound=Controller)


@contextmanager
def playing(controller: C) -> Iterator[C]:
    """Run the controller until the block ends."""
    thread = threading.Thread(target=controller.run)
    thread.start()
    try:
        yield controller
    finally:
        controller.stopped.set()
        thread.join()

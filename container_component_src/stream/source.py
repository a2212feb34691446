"""Where the rows of a stream come from."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a source, which should be a row."""

    text: bytes | None  # None: too long to be kept
    place: str  # for a log: a line, or an offset
    received: float  # monotonic time in seconds
    token: Any = None  # by which the source knows it


class Source(ABC):
    """A source of messages. Use it in an `async with` statement."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:  # noqa: B027 - not all have something to do
        """Close what is open."""

    def resume(self, offsets: Mapping[str, int]) -> None:  # noqa: B027
        """Go on after the messages that have these offsets; called before the source is entered."""

    @abstractmethod
    def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        """Iterate over the messages, as many at a time as there are; it stops where the source ends.

        Nothing is read before the next ones are asked for.

        Raises:
            StepError: The source is away for too long.
        """

    @abstractmethod
    def processed(self, message: Message) -> None:
        """Note that a message is part of the state that is written next."""

    @property
    @abstractmethod
    def offsets(self) -> Mapping[str, int]:
        """Where to go on after the processed messages."""

    async def commit(self) -> None:  # noqa: B027
        """Tell a broker which messages are processed, after the state was written."""

    @property
    def waits_for_commit(self) -> bool:
        """Whether the source gives no more messages before a commit."""
        return False

"""Limits of a request, which bound the time and the memory that it takes.

They are shares of the largest body, so that one option of the servers raises or lowers all of them.
"""

from dataclasses import dataclass

import numpy as np

from container_component_src.serving.protocol.errors import RequestError

_MARKS = b",:[{"  # one is before each value and name in JSON, except the outermost
_BINARY = "send fewer rows at a time, or binary tensors"
_RAW = "send fewer rows at a time, or raw_input_contents"


class TooLargeError(RequestError):
    """The request exceeds a limit."""


@dataclass(frozen=True)
class Limits:
    """Limits of one request.

    Attributes:
        body_bytes: Most bytes of the body.
    """

    body_bytes: int

    @property
    def json_bytes(self) -> int:
        """Most bytes of JSON, of which a text may take four times as many in memory."""
        return self.body_bytes // 4

    @property
    def json_items(self) -> int:
        """Most values and names in JSON; one takes up to 200 bytes of memory and 400 ns."""
        return self.body_bytes // 64

    @property
    def answer_items(self) -> int:
        """Most values of an answer in JSON."""
        return 3 * self.json_items

    def rows(self, channels: int) -> int:
        """Return the most rows for a number of channels.

        A server holds about ten copies of their values, and the answer to a row takes about 600 bytes.
        """
        return max(1, min(self.body_bytes // 640, self.body_bytes // 16 // channels))

    def check_json(self, body: bytes, length: int) -> None:
        """Check the JSON at the start of a body without parsing it.

        Raises:
            TooLargeError: It has too many bytes, values or names.
        """
        if length > self.json_bytes:
            raise TooLargeError(f"{length} bytes of JSON exceed the limit of {self.json_bytes}", fix=_BINARY)
        if length <= self.json_items:
            return
        # Marks within texts count as well; requests that are meant well have few of them.
        characters = np.frombuffer(body, np.uint8, length)  # with so many marks, in a third of the time of bytes.count
        if sum(int(np.count_nonzero(characters == mark)) for mark in _MARKS) > self.json_items:
            raise TooLargeError(f"the JSON has more than {self.json_items} values and names", fix=_BINARY)

    def check_typed(self, values: int) -> None:
        """Check the number of values in typed contents of gRPC.

        Raises:
            TooLargeError: There are too many.
        """
        if values > self.json_items:
            raise TooLargeError(f"{values} typed values exceed the limit of {self.json_items}", fix=_RAW)

    def check_rows(self, rows: int, channels: int) -> None:
        """Check the number of rows.

        Raises:
            TooLargeError: There are too many.
        """
        most = self.rows(channels)
        if rows > most:
            raise TooLargeError(f"{rows} rows exceed the limit of {most}", fix="send fewer rows at a time")

    def check_answer(self, items: int) -> None:
        """Check the number of values of an answer in JSON.

        Raises:
            TooLargeError: There are too many.
        """
        if items > self.answer_items:
            raise TooLargeError(
                f"an answer of {items} values in JSON exceeds the limit of {self.answer_items}",
                fix="send fewer rows at a time, or ask for binary outputs",
            )

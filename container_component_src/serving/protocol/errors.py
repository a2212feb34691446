"""The error of an invalid request."""

from container_component_src.errors import InputError

_START, _END = 300, 100  # characters that remain of a longer message, which repeats names of the request


class RequestError(InputError):
    """The request is invalid; the message names the row, counted from 0, and the channel."""

    def __init__(self, problem: str, *, fix: str = "") -> None:
        cut = problem if len(problem) <= _START + _END else f"{problem[:_START]}…{problem[-_END:]}"
        super().__init__(cut, fix=fix)

"""The error of an invalid request."""

from container_component_src.errors import InputError


class RequestError(InputError):
    """The request is invalid; the message names the row, counted from 0, and the channel."""

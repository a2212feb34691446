"""The HTTP status of an error, and what its answer says. Import this module only in a process that serves."""

from http import HTTPStatus

from kserve import errors

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.limits import TooLargeError
from container_component_src.serving.server.admission import OverloadedError
from container_component_src.serving.server.predictor_client import PredictorError
from container_component_src.serving.server.texts import shortened

CLIENT_GONE = 499  # of nginx; nobody gets the answer
_MESSAGE_LENGTH = 1000  # characters
_STATUSES: tuple[tuple[type[Exception], int], ...] = (  # the first that fits applies
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (RequestError, HTTPStatus.BAD_REQUEST),
    (OverloadedError, HTTPStatus.TOO_MANY_REQUESTS),
    (PredictorError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.InvalidInput, HTTPStatus.BAD_REQUEST),
    (errors.ModelNotFound, HTTPStatus.NOT_FOUND),
    (errors.ModelNotReady, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.ServerNotReady, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.ServerNotLive, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.UnsupportedProtocol, HTTPStatus.NOT_IMPLEMENTED),
    (NotImplementedError, HTTPStatus.NOT_IMPLEMENTED),
)
KSERVE_REFUSALS = tuple(kind for kind, _ in _STATUSES[4:])
_RETRY = {"retry-after": "1"}  # seconds


class HttpError(Exception):
    """The answer to an HTTP request that fails, with its status."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


class DisconnectedError(Exception):
    """The client has gone and waits for no answer."""


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error; 500 for one that is not a refusal."""
    if isinstance(error, HttpError):
        return error.status
    if isinstance(error, DisconnectedError):
        return CLIENT_GONE
    found = next((status for kind, status in _STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    return int(found)


def headers_of(error: Exception) -> dict[str, str]:
    """Return the headers of the answer to an error."""
    if isinstance(error, HttpError):
        return error.headers
    return _RETRY if isinstance(error, (OverloadedError, PredictorError)) else {}


def message_of(error: Exception) -> str:
    """Return what the answer says about an error: its reason, but nothing of the inside for a failure."""
    if status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "internal error; see the log of the server for this request id"
    return shortened(str(error), _MESSAGE_LENGTH)

"""Asks a served model: over HTTP, in the V2 protocol with binary tensors."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from container_component_src.errors import InputError, StepError
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.v2 import (
    HEADER_LENGTH,
    ROWS_INPUT,
    TIMESTAMPS_INPUT,
    decode_response,
    encode_request,
)

_ATTEMPTS = 4
FIRST_PAUSE = 0.5  # seconds before the second attempt; each further one waits twice as long
_MESSAGE_LENGTH = 500
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LOGIN_NEEDED = {301, 302, 303, 307, 401, 403}


@dataclass(frozen=True)
class Access:
    """Where a model is served, and what opens the way there."""

    url: str  # `http://host:port`, or the address of a gateway with the path before `/v2`
    model: str
    host: str = ""  # name of the service, for a gateway that takes requests for many
    token: str = ""  # bearer token
    ca_file: str = ""  # certificates to trust; those of the system by default
    timeout: float = 60.0  # seconds for an answer


@dataclass(frozen=True)
class ModelDescription:
    """What a client has to know of a model."""

    channels: tuple[str, ...]
    version: str
    context_rows: int  # that the smoothed score of a row depends on, beside the row
    max_body_bytes: int


class ModelClient:
    """A connection to a served model; use it in a `with` statement.

    Args:
        access: Where the model is.

    Raises:
        InputError: The URL or the file of certificates is none.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        url = _address(access.url)
        try:
            verify = ssl.create_default_context(cafile=access.ca_file) if access.ca_file else True
        except OSError as error:
            raise InputError(f"{access.ca_file}: {error}; check --ca-file") from error
        headers = {"host": access.host} if access.host else {}
        if access.token:
            headers["authorization"] = f"Bearer {access.token}"
        login = (url.username, url.password) if url.userinfo else None
        self._url = f"{url.copy_with(userinfo=b'')}/v2/models/{access.model}"  # stands in messages
        # Proxies of the environment do not lead to this machine.
        trust_environment = url.host not in _LOOPBACK
        self._http = httpx.Client(
            headers=headers, auth=login, timeout=access.timeout, verify=verify, trust_env=trust_environment
        )

    def __enter__(self) -> "ModelClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def describe(self) -> ModelDescription:
        """Ask what the model takes.

        Raises:
            InputError: There is no such model, or the way to it is closed.
            StepError: No answer.
        """
        answer = self._ask("GET", self._url)
        try:
            content = answer.json()
            parameters = content["parameters"]
            return ModelDescription(
                tuple(tensor["name"] for tensor in content["inputs"]),
                content["versions"][0],
                parameters["smoothing_window"] + parameters["window_steps"] - 2,
                parameters["max_body_bytes"],
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"{self._url}: no model of this project answers there; check --url") from error

    def score(
        self, values: npt.NDArray[np.float64], timestamps: npt.NDArray[np.int64] | None = None
    ) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Have rows scored.

        Args:
            values: Engineering units, [rows, channels] in the order of the model.
            timestamps: Nanoseconds since 1970 UTC, [rows].

        Returns:
            The JSON of the answer (with `model_version`), and its outputs by name.

        Raises:
            InputError: The server refuses the rows; the message is its own.
            StepError: No answer, or one that cannot be read.
        """
        inputs: Mapping[str, npt.NDArray[Any]] = {ROWS_INPUT: values}
        if timestamps is not None:
            inputs = {**inputs, TIMESTAMPS_INPUT: timestamps}
        body, headers = encode_request(inputs)
        answer = self._ask("POST", f"{self._url}/infer", body, headers)
        try:
            return decode_response(answer.content, answer.headers.get(HEADER_LENGTH))
        except RequestError as error:
            raise StepError(f"{self._url}: the answer cannot be read ({error}); check --url") from error

    def _ask(
        self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a request; where the server is away or not ready, a few times."""
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                answer = self._http.request(method, url, content=body, headers=headers)
            except httpx.HTTPError as error:
                reason = f"{type(error).__name__}: {error}"
                continue
            if answer.status_code == httpx.codes.OK:
                return answer
            reason = _reason(answer)
            if answer.status_code in _LOGIN_NEEDED:
                raise InputError(f"{url}: {reason}; set a valid token in the environment, or check --host")
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                raise InputError(f"{url}: {reason}")
        raise StepError(f"{url}: {reason}; see whether the service is ready")


def _address(text: str) -> httpx.URL:
    """An address of a server; what is none is not repeated, for it may hold a password."""
    try:
        url = httpx.URL(text.rstrip("/"))
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError("--url: no address of a server; give one like http://host:port")
    return url


def _reason(answer: httpx.Response) -> str:
    try:
        text = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = answer.text
    return f"{answer.status_code} {text[:_MESSAGE_LENGTH]}".strip()

"""A client of a served model: HTTP, in the V2 protocol with binary tensors."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy.typing as npt

from container_component_src.alarms.alarm import AlarmSource
from container_component_src.alarms.rule import AlarmRule
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import InputError, StepError
from container_component_src.files import read_regular
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.v2 import (
    HEADER_LENGTH,
    ROWS_INPUT,
    TIMESTAMPS_INPUT,
    decode_response,
    encode_request,
)
from container_component_src.steps.serving import ServiceAddress
from container_component_src.values import in_home

_ATTEMPTS = 4
FIRST_PAUSE = 0.5  # seconds before the second attempt; each further pause is twice as long
_MESSAGE_LENGTH = 500
_ROOMY_VALUE_BYTES = 16  # twice the bytes of a value, so that timestamps and names fit as well
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_BUSY = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}
_REFUSED = {httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE}
_LOGIN_NEEDED = {301, 302, 303, 307, 401, 403}


class RefusedRowsError(InputError):
    """A model refuses the rows, not whoever sends them."""


@dataclass(frozen=True)
class ModelDescription:
    """What a client must know of a model."""

    channels: tuple[str, ...]
    version: str
    context_rows: int  # number of earlier rows that the smoothed score of a row depends on
    max_rows: int  # of a request
    impute_missing: bool  # whether the model imputes missing values unless a request says otherwise
    alarm_source: AlarmSource


class ModelClient:
    """A connection to a served model. Use it in a `with` statement.

    Args:
        address: Arguments that name the server and the model.
        token: Bearer token, or "".

    Raises:
        InputError: The URL or the file of certificates is invalid.
    """

    def __init__(self, address: ServiceAddress, token: str = "") -> None:
        url = _parsed_url(address.url)
        try:
            if ca_file := in_home(address.ca_file):
                read_regular(Path(ca_file))
            verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
        except OSError as error:
            raise InputError(f"{address.ca_file}: {error}", fix="check --ca-file") from error
        headers = {"host": address.host} if address.host else {}
        if token:
            headers["authorization"] = f"Bearer {token}"
        login = (url.username, url.password) if url.userinfo else None
        self._url = f"{url.copy_with(userinfo=b'')}/v2/models/{address.model_name}"  # messages name it
        # The proxies in the environment do not lead to this machine.
        trust_environment = url.host not in _LOOPBACK
        self._http = httpx.Client(
            headers=headers, auth=login, timeout=address.timeout, verify=verify, trust_env=trust_environment
        )

    def __enter__(self) -> "ModelClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def describe(self) -> ModelDescription:
        """Return the description of the model.

        Raises:
            InputError: There is no such model, or the server refuses access.
            StepError: The server does not answer.
        """
        answer = self._ask("GET", self._url)
        try:
            content = answer.json()
            parameters, channels = content["parameters"], len(content["inputs"])
            return ModelDescription(
                tuple(tensor["name"] for tensor in content["inputs"]),
                content["versions"][0],
                # Servers before it existed take medians.
                parameters.get("context_rows", parameters["smoothing_window"] + parameters["window_steps"] - 2),
                # Servers before it existed take what fits into a body.
                parameters.get("max_rows", max(1, parameters["max_body_bytes"] // (_ROOMY_VALUE_BYTES * channels))),
                parameters.get("impute_missing", False),  # unknown to servers before it existed
                _alarm_source(content["versions"][0], parameters),
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"{self._url}: no model of this project answers there", fix="check --url") from error

    def score(
        self, values: Float64Array, timestamps: Timestamps | None = None, impute: bool = False
    ) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Have rows scored.

        Args:
            values: Engineering units, shape [rows, channels] in the order of the model.
            timestamps: Nanoseconds since 1970-01-01 UTC, shape [rows].
            impute: Whether missing values, which are NaN, are scored as the centre of their channel.

        Returns:
            The JSON of the answer (with `model_version`), and its outputs by name.

        Raises:
            InputError: The server refuses the rows; the message is the server's.
            StepError: There is no answer, or it cannot be read.
        """
        inputs: Mapping[str, npt.NDArray[Any]] = {ROWS_INPUT: values}
        if timestamps is not None:
            inputs = {**inputs, TIMESTAMPS_INPUT: timestamps}
        body, headers = encode_request(inputs, impute)
        answer = self._ask("POST", f"{self._url}/infer", body, headers)
        try:
            return decode_response(answer.content, answer.headers.get(HEADER_LENGTH))
        except RequestError as error:
            raise StepError(f"{self._url}: the answer cannot be read ({error})", fix="check --url") from error

    def _ask(
        self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a request, again if the server is away, not ready or busy."""
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
                raise InputError(f"{url}: {reason}", fix="set a valid token in the environment, or check --host")
            if answer.status_code in _REFUSED:
                raise RefusedRowsError(f"{url}: {reason}")
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR and answer.status_code not in _BUSY:
                raise InputError(f"{url}: {reason}")
        raise StepError(f"{url}: {reason}", fix="check that the service is ready")


def _alarm_source(version: str, parameters: dict[str, Any]) -> AlarmSource:
    """Return the rule of alarms; in that of servers before it existed, an alarm ends at the threshold."""
    threshold = parameters["threshold"]
    rule = AlarmRule(
        raise_above=threshold,
        clear_below=parameters.get("clear_threshold", threshold),
        min_duration_ns=parameters.get("min_duration_ns", 0),
        merge_gap_ns=parameters.get("merge_gap_ns", 0),
        max_gap_ns=parameters["max_gap_ns"],
    )
    return AlarmSource(version, rule, parameters.get("subsystems", {}))


def _parsed_url(text: str) -> httpx.URL:
    """Return the URL of a server. The error does not repeat the text, which may hold a password."""
    try:
        url = httpx.URL(text.rstrip("/"))
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError("--url: not the address of a server", fix="give one like http://host:port")
    return url


def _reason(answer: httpx.Response) -> str:
    try:
        text = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = answer.text
    return f"{answer.status_code} {text[:_MESSAGE_LENGTH]}".strip()

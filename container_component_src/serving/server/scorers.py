"""Who scores the rows: the model in this process, or a predictor over HTTP."""

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import httpx
import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.model.bundle import Bundle
from container_component_src.model.scoring import contributions_and_reconstruction
from container_component_src.serving.protocol.inputs import RequestError, refuse_value
from container_component_src.serving.protocol.v2 import (
    HEADER_LENGTH,
    ROWS_INPUT,
    TIMESTAMPS_INPUT,
    decode_response,
    encode_request,
)
from container_component_src.serving.server.offload import offload

CONNECT_TIMEOUT = 0.5  # seconds; a predictor whose machine has gone does not even refuse
CA_VARIABLE = "REQUESTS_CA_BUNDLE"  # set by KServe's controller where the way to the predictor is encrypted
FORWARDED_HEADERS = ("x-request-id", "x-b3-traceid", "authorization")
_MESSAGE_LENGTH = 500
# What a connection ends with that the predictor closed since its last use; scoring once more does no harm.
_STALE_CONNECTION = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


logger = logging.getLogger(__name__)


class PredictorError(Exception):
    """The predictor does not answer, or not with what can be used."""


class OtherVersionError(Exception):
    """The predictor serves another bundle."""


@dataclass(frozen=True)
class Scored:
    """Scored rows."""

    parts: Float32Array  # nats, shape [rows, channels]; a row of them sums to its score
    expected: Float32Array  # what the model expects instead of the values, scaled, shape [rows, channels]


T = TypeVar("T")
# Reads a request: scaled rows [rows, channels], timestamps [rows] if known, and what makes the answer of the scores.
Preparation: TypeAlias = Callable[[], tuple[Float32Array, Timestamps | None, Callable[[Scored], T]]]


class Scorer(Protocol):
    """Answers requests; it knows in which threads that is best done."""

    async def score(self, prepare: Preparation[T], size: int, headers: dict[str, str]) -> T:
        """Answer a request.

        Args:
            prepare: Reads it.
            size: Its bytes, by which the work is estimated.
            headers: Its headers.
        """
        ...


class LocalScorer:
    """Scores with a bundle in this process."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    async def score(self, prepare: Preparation[T], size: int, headers: dict[str, str]) -> T:
        """Answer a request, all of it in one thread.

        Raises:
            RequestError: A row scores as infinite; the message names it and its largest value.
        """

        def work() -> T:
            scaled, timestamps, finish = prepare()
            return finish(self._score(scaled, timestamps))

        return await offload(size, work)

    def _score(self, scaled: Float32Array, timestamps: Timestamps | None) -> Scored:
        max_gap_ns = self._bundle.info.thresholds.max_gap_ns
        with np.errstate(over="ignore", invalid="ignore"):
            parts, expected = contributions_and_reconstruction(self._bundle.model, scaled, timestamps, max_gap_ns)
            finite = np.isfinite(parts.sum(axis=1)) & np.isfinite(expected).all(axis=1)
        if not finite.all():
            largest = np.abs(scaled) == np.abs(scaled).max(axis=1, keepdims=True)
            refuse_value(scaled, ~finite[:, np.newaxis] & largest, self._bundle.info.channels)
        return Scored(parts, expected)


class RemoteScorer:
    """Asks a predictor of the same bundle, in the V2 protocol with binary tensors.

    An update replaces predictor and transformer one after the other. While the predictor serves another bundle, this
    process scores the rows itself, so that no request is refused.

    Args:
        url: `http://host:port` of the predictor.
        model: Name of the model there.
        bundle: The one that it has to serve.
        timeout: Seconds for the answer.
        retries: How often a refused connection is tried again.
    """

    def __init__(self, url: str, model: str, bundle: Bundle, timeout: float, retries: int) -> None:
        self._version = bundle.info.version
        self._url = f"{url}/v2/models/{model}/versions/{self._version}/infer"
        self._sends_timestamps = bundle.info.architecture.window_steps > 1
        self._own = LocalScorer(bundle)
        self._told = False  # that this process scores
        ca_file = os.environ.get(CA_VARIABLE)
        self._settings: dict[str, Any] = {
            "timeout": httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
            "transport": httpx.AsyncHTTPTransport(
                verify=ssl.create_default_context(cafile=ca_file) if ca_file else True, retries=retries
            ),
        }
        self._client: httpx.AsyncClient | None = None

    async def score(self, prepare: Preparation[T], size: int, headers: dict[str, str]) -> T:
        """Answer a request with what the predictor says of its rows.

        Raises:
            RequestError: The predictor refuses the rows.
            PredictorError: It does not answer.
        """
        scaled, timestamps, finish = await offload(size, prepare)
        try:
            scored = await self._ask(scaled, timestamps, headers)
        except OtherVersionError as error:
            if not self._told:
                logger.warning("%s; scoring here until the update has ended", error)
            self._told = True
            return await self._own.score(lambda: (scaled, timestamps, finish), size, headers)
        self._told = False
        return await offload(size, finish, scored)

    async def _ask(self, scaled: Float32Array, timestamps: Timestamps | None, headers: dict[str, str]) -> Scored:
        inputs: dict[str, npt.NDArray[Any]] = {ROWS_INPUT: scaled}
        if timestamps is not None and self._sends_timestamps:
            inputs[TIMESTAMPS_INPUT] = timestamps
        body, content_headers = encode_request(inputs)
        forwarded = {name: headers[name] for name in FORWARDED_HEADERS if name in headers}
        # As bytes: header values may be other texts than ASCII.
        encoded = [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in (forwarded | content_headers).items()
        ]
        answer = await self._post(body, encoded)
        if answer.status_code == httpx.codes.NOT_FOUND and self._version in answer.text:
            raise OtherVersionError(f"The predictor serves another model than {self._version}")
        if answer.status_code != httpx.codes.OK:
            reason = f"The predictor answers {answer.status_code} to the scaled rows: {answer.text[:_MESSAGE_LENGTH]}"
            # Any other status (no such model, access denied, ...) is not for the one who sent the rows to fix.
            raise (RequestError if answer.status_code == httpx.codes.BAD_REQUEST else PredictorError)(reason)
        try:
            content, outputs = decode_response(answer.content, answer.headers.get(HEADER_LENGTH))
        except RequestError as error:
            raise PredictorError(f"The predictor's answer cannot be read: {error}") from error
        version = content.get("model_version")
        if version != self._version:
            raise OtherVersionError(f"The predictor serves model {version}, not {self._version}")
        parts, expected = outputs.get("parts"), outputs.get("expected")
        if parts is None or expected is None or not parts.shape == expected.shape == scaled.shape:
            raise PredictorError("The predictor's answer lacks the parts of the score; deploy both from one image.")
        return Scored(parts, expected)

    async def _post(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> httpx.Response:
        if self._client is None:  # made in the event loop that uses it
            self._client = httpx.AsyncClient(**self._settings)
        try:
            try:
                return await self._client.post(self._url, content=body, headers=headers)
            except _STALE_CONNECTION:
                return await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise PredictorError(f"The predictor does not answer ({type(error).__name__}: {error}).") from error

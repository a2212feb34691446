"""Scoring of rows: by the model in this process, or by a predictor over HTTP."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.model.bundle import Bundle
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import refuse_value
from container_component_src.serving.protocol.v2 import (
    ROWS_INPUT,
    TIMESTAMPS_INPUT,
    decode_response,
    request_parts,
)
from container_component_src.serving.server.admission import OverloadedError
from container_component_src.serving.server.offload import offload
from container_component_src.serving.server.predictor_client import PredictorClient, PredictorError, PredictorReply

FORWARDED_HEADERS = ("x-request-id", "x-b3-traceid", "authorization")
_MESSAGE_LENGTH = 500

logger = logging.getLogger(__name__)


class OtherVersionError(Exception):
    """The predictor serves another bundle."""


@dataclass(frozen=True)
class Scored:
    """The output of the model for each row."""

    contributions: Float32Array  # nats, shape [rows, channels]
    reconstruction: Float32Array  # scaled, shape [rows, channels]

    @cached_property
    def scores(self) -> Float32Array:
        """Nats, shape [rows]."""
        return np.asarray(self.contributions.sum(axis=1))


T = TypeVar("T")
# Reads a request. Returns the scaled rows [rows, channels], their timestamps [rows] if known, and the function that
# makes the answer from the scores.
Preparation: TypeAlias = Callable[[], tuple[Float32Array, Timestamps | None, Callable[[Scored], T]]]


class Scorer(Protocol):
    """Answers requests, and chooses the thread that does each part of the work."""

    async def score(self, prepare: Preparation[T], size: int, headers: dict[str, str]) -> T:
        """Answer a request.

        Args:
            prepare: Reads the request.
            size: Bytes of the request, from which the work is estimated.
            headers: Headers of the request.
        """
        ...


class LocalScorer:
    """Scores rows with a bundle in this process."""

    def __init__(self, bundle: Bundle) -> None:
        self._scorer = bundle.scorer
        self._channels = bundle.info.channels

    async def score(self, prepare: Preparation[T], size: int, headers: dict[str, str]) -> T:
        """Answer a request, with all of the work in one thread.

        Raises:
            RequestError: The score of a row is infinite; the message names the row and its largest value.
        """

        def work() -> T:
            scaled, timestamps, finish = prepare()
            return finish(self.scored(scaled, timestamps))

        return await offload(size, work)

    def scored(self, scaled: Float32Array, timestamps: Timestamps | None) -> Scored:
        """Return the scores of scaled rows [rows, channels] at their times [rows]; raise the error of `score`."""
        with np.errstate(over="ignore", invalid="ignore"):
            scored = Scored(*self._scorer.contributions_and_reconstruction(scaled, timestamps))
            finite = np.isfinite(scored.scores)
            if not (finite.all() and np.isfinite(scored.reconstruction).all()):
                finite &= np.isfinite(scored.reconstruction).all(axis=1)
                largest = np.abs(scaled) == np.abs(scaled).max(axis=1, keepdims=True)
                refuse_value(scaled, ~finite[:, np.newaxis] & largest, self._channels)
        return scored


class RemoteScorer:
    """Has rows scored by a predictor of the same bundle, with binary tensors of the V2 protocol.

    An update replaces the predictor and the transformer one after the other. While the predictor serves another bundle,
    this process scores the rows itself, so that no request fails.

    Args:
        url: `http://host:port` of the predictor.
        model: Name of the model there.
        bundle: The bundle that the predictor has to serve.
        timeout: Seconds to wait for an answer.
        retries: Number of further attempts if the connection is refused.
    """

    def __init__(self, url: str, model: str, bundle: Bundle, timeout: float, retries: int) -> None:
        self._version = bundle.info.version
        self.client = PredictorClient(f"{url}/v2/models/{model}/versions/{self._version}/infer", timeout, retries)
        self._sends_timestamps = bundle.info.architecture.window_steps > 1
        self._local = LocalScorer(bundle)
        self._warned = False  # that this process scores

    async def score(self, prepare: Preparation[T], size: int, headers: dict[str, str]) -> T:
        """Answer a request with the scores of the predictor.

        Raises:
            RequestError: The predictor refuses the rows.
            PredictorError: The predictor does not answer.
        """
        scaled, timestamps, finish = await offload(size, prepare)
        try:
            scored = await self._ask(scaled, timestamps, headers)
        except OtherVersionError as error:
            if not self._warned:
                logger.warning("%s; this process scores until the update is complete", error)
            self._warned = True
            return await self._local.score(lambda: (scaled, timestamps, finish), size, headers)
        self._warned = False
        return await offload(size, finish, scored)

    async def _ask(self, scaled: Float32Array, timestamps: Timestamps | None, headers: dict[str, str]) -> Scored:
        inputs: dict[str, npt.NDArray[Any]] = {ROWS_INPUT: scaled}
        if timestamps is not None and self._sends_timestamps:
            inputs[TIMESTAMPS_INPUT] = timestamps
        parts, content_headers = request_parts(inputs)
        forwarded = {name: headers[name] for name in FORWARDED_HEADERS if name in headers}
        return self._scored(await self.client.post(parts, forwarded | content_headers), scaled.shape)

    def _scored(self, answer: PredictorReply, shape: tuple[int, ...]) -> Scored:
        if answer.status == HTTPStatus.NOT_FOUND and self._version in answer.text:
            raise OtherVersionError(f"The predictor serves another model than {self._version}")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise OverloadedError("The predictor has too much to do; try again later.")
        if answer.status != HTTPStatus.OK:
            reason = f"The predictor answers {answer.status} to the scaled rows: {answer.text[:_MESSAGE_LENGTH]}"
            # Whoever sent the rows cannot fix any other status (no such model, access denied, ...).
            raise (RequestError if answer.status == HTTPStatus.BAD_REQUEST else PredictorError)(reason)
        try:
            content, outputs = decode_response(answer.content, answer.json_length)
        except RequestError as error:
            raise PredictorError(f"The predictor's answer cannot be read: {error}") from error
        version = content.get("model_version")
        if version != self._version:
            raise OtherVersionError(f"The predictor serves model {version}, not {self._version}")
        contributions, reconstruction = outputs.get("parts"), outputs.get("expected")
        if contributions is None or reconstruction is None or not contributions.shape == reconstruction.shape == shape:
            raise PredictorError(
                "The predictor's answer lacks the contributions or the reconstruction; deploy both from one image."
            )
        return Scored(contributions, reconstruction)

"""The parts of the service, what each is loaded from, and how it answers rows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.protocol.inputs import RequestError, Rows, rows_of_json, scaled
from container_component_src.serving.protocol.process import HTTP_PORT
from container_component_src.serving.protocol.v2 import Request
from container_component_src.serving.server.answers import TOP_CHANNELS, assess
from container_component_src.serving.server.scorers import LocalScorer, RemoteScorer, Scored, Scorer

MEBIBYTE = 2**20


class Role(StrEnum):
    """What a server does."""

    PREDICTOR = "predictor"  # scaled rows in; scores and parts out
    TRANSFORMER = "transformer"  # telemetry in; asks a predictor; scores, alarms and their channels out
    COMBINED = "combined"  # the same with the model in this process


@dataclass(frozen=True)
class ServingOptions:
    """What a server is to be."""

    role: Role
    model_dir: str  # the bundle: a folder or its URI
    model_name: str
    http_port: int = HTTP_PORT
    grpc_port: int | None = None  # None: the default port if the HTTP port is the default, otherwise no gRPC
    predictor_host: str = ""  # of a transformer: host or host:port
    top_channels: int = TOP_CHANNELS
    max_body_bytes: int = 64 * MEBIBYTE


class Answer(Protocol):
    """Answers to the rows of a request."""

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """Nats, shape [rows]."""
        ...

    @property
    def alarms(self) -> npt.NDArray[np.bool_]:
        """Shape [rows]."""
        ...

    def predictions(self) -> list[dict[str, Any]]:
        """One object per row (V1)."""
        ...

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """One array per field (V2)."""
        ...


@dataclass(frozen=True)
class PredictorAnswer:
    """Answers of a predictor."""

    scored: Scored
    scores: npt.NDArray[np.float32]
    alarms: npt.NDArray[np.bool_]  # the predictor knows none

    def predictions(self) -> list[dict[str, Any]]:
        """Score and parts per row."""
        rows = zip(self.scores.tolist(), self.scored.parts.tolist(), self.scored.expected.tolist(), strict=True)
        return [{"score": score, "parts": parts, "expected": expected} for score, parts, expected in rows]

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Scores [rows], parts and expected values [rows, channels]."""
        return {"score": self.scores, "parts": self.scored.parts, "expected": self.scored.expected}


class RowService:
    """Answers rows, whatever protocol brought them.

    Args:
        options: Of the server.
        info: Of the bundle.
        scorer: Scores scaled rows.
    """

    def __init__(self, options: ServingOptions, info: BundleInfo, scorer: Scorer) -> None:
        self.options = options
        self.info = info
        self.scorer = scorer
        self.takes_telemetry = options.role is not Role.PREDICTOR
        self._scaler = info.scaler if self.takes_telemetry else None
        self._ignored = frozenset(self._scaler.dropped) if self._scaler else frozenset()

    def rows_of_json(self, body: bytes) -> Rows:
        """Rows of a V1 request."""
        return rows_of_json(body, self.info.channels, self._ignored)

    def rows_of_tensors(self, request: Request) -> Rows:
        """Rows of a V2 request."""
        return request.rows(self.info.channels, self._ignored)

    def scaled(self, rows: Rows) -> npt.NDArray[np.float32]:
        """What the model sees, [rows, channels].

        Raises:
            RequestError: A value is not finite; or the rows have timestamps, and the server has no use for them.
        """
        windowed = self.info.architecture.window_steps > 1
        if rows.timestamps is not None and not (self.takes_telemetry or windowed):
            raise RequestError("the predictor takes no timestamps; send them to the transformer, or leave them out")
        return scaled(rows.values, self.info.channels, self._scaler)

    def answer(self, rows: Rows, scored: Scored) -> Answer:
        """What is said of scored rows."""
        if self.takes_telemetry:
            return assess(self.info, rows, scored.parts, scored.expected, self.options.top_channels)
        scores = scored.parts.sum(axis=1)
        return PredictorAnswer(scored, scores, np.zeros(len(scores), dtype=np.bool_))


def load(options: ServingOptions, predictor_url: str = "", timeout: float = 600, retries: int = 0) -> RowService:
    """Load what a server needs, checked against the digests of the bundle.

    Args:
        options: Of the server.
        predictor_url: Of a transformer: where its predictor is.
        timeout: Seconds for the predictor's answer.
        retries: How often a refused connection to the predictor is tried again.

    Raises:
        InputError: There is no bundle, or it is damaged.
    """
    bundle = Bundle.load(options.model_dir)
    if options.role is Role.TRANSFORMER:
        scorer: Scorer = RemoteScorer(predictor_url, options.model_name, bundle, timeout, retries)
    else:
        scorer = LocalScorer(bundle)
    return RowService(options, bundle.info, scorer)

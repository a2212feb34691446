"""The roles of a server, what it loads, and how it answers rows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import BoolArray, Float32Array
from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.limits import Limits
from container_component_src.serving.protocol.rows import Rows, scaled
from container_component_src.serving.protocol.v1 import rows_of_json
from container_component_src.serving.protocol.v2 import ROWS_INPUT, Request
from container_component_src.serving.server.answers import Assessment, assess
from container_component_src.serving.server.scorers import LocalScorer, RemoteScorer, Scored, Scorer
from container_component_src.steps.serving import Server

_INPUTS_PER_CHANNEL = 10


class Role(StrEnum):
    """What a server does."""

    PREDICTOR = "predictor"  # takes scaled rows, answers scores and contributions
    TRANSFORMER = "transformer"  # takes telemetry, asks a predictor, answers scores, alarms and their channels
    COMBINED = "combined"  # takes and answers what a transformer does, with the model in its own process


@dataclass(frozen=True)
class ServingOptions:
    """Options of a server."""

    role: Role
    arguments: Server  # that all servers have
    predictor_host: str = ""  # host or host:port; only of a transformer
    metrics_folder: str = ""  # shared by the worker processes; empty if there is one process

    @property
    def max_body_bytes(self) -> int:
        """Maximum size of the body of an HTTP request."""
        return self.arguments.max_body_mib * 2**20


@dataclass(frozen=True)
class PredictorAnswer:
    """Answers of a predictor, in which no row is an alarm."""

    scored: Scored
    alarms: BoolArray  # shape [rows]
    imputation: None = None  # a predictor refuses missing values
    found_size = 0

    @property
    def scores(self) -> Float32Array:
        """Nats, shape [rows]."""
        return self.scored.scores

    @property
    def size(self) -> int:
        """Number of values in all tensors."""
        return self.scores.size + self.scored.contributions.size + self.scored.reconstruction.size

    def predictions(self) -> list[dict[str, Any]]:
        """Return one object per row, with arrays of channels (V1)."""
        # The shortest text of a float32 is that of another float64.
        arrays = (array.astype(np.float64) for array in (self.scored.contributions, self.scored.reconstruction))
        rows = zip(self.scores.tolist(), *arrays, strict=True)
        return [{"score": score, "parts": parts, "expected": expected} for score, parts, expected in rows]

    def found_json(self) -> None:
        """Return that no alarms are known."""

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the scores [rows], the contributions and the reconstruction [rows, channels] (V2)."""
        return {"score": self.scores, "parts": self.scored.contributions, "expected": self.scored.reconstruction}


Answer: TypeAlias = Assessment | PredictorAnswer


class RowService:
    """Answers rows, independent of the protocol.

    Args:
        options: Options of the server.
        info: Description of the bundle.
        scorer: Scores scaled rows.
    """

    def __init__(self, options: ServingOptions, info: BundleInfo, scorer: Scorer) -> None:
        self.options = options
        self.limits = Limits(options.max_body_bytes)
        self.info = info
        self.scorer = scorer
        self.takes_telemetry = options.role is not Role.PREDICTOR
        self._scaler = info.scaler if self.takes_telemetry else None
        self._ignored = frozenset(self._scaler.absent) if self._scaler else frozenset()
        self._impute = info.impute_missing if self._scaler else None

    @property
    def most_inputs(self) -> int:
        """Number of inputs of a V2 request above which none is read; a few that are unknown are refused by name."""
        return _INPUTS_PER_CHANNEL * (len(self.info.channels) + len(self._ignored) + 1)

    def rows_of_json(self, body: bytes) -> Rows:
        """Return the rows of a V1 request."""
        self.limits.check_json(body, len(body))
        rows = rows_of_json(body, self.info.channels, self._ignored, self._impute)
        self.limits.check_rows(len(rows.values), len(self.info.channels))
        return rows

    def rows_of_tensors(self, request: Request) -> Rows:
        """Return the rows of a V2 request."""
        channels = len(self.info.channels)
        for tensor in request.inputs:  # before an array is made of any
            self.limits.check_rows(tensor.size // (channels if tensor.name == ROWS_INPUT else 1), channels)
        return request.rows(self.info.channels, self._ignored, self._impute)

    def scaled(self, rows: Rows) -> Float32Array:
        """Return the input of the model, shape [rows, channels].

        Raises:
            RequestError: A value is not finite, or the rows have timestamps that the model does not use.
        """
        windowed = self.info.architecture.window_steps > 1
        if rows.timestamps is not None and not (self.takes_telemetry or windowed):
            raise RequestError(
                "the predictor takes no timestamps", fix="send them to the transformer, or leave them out"
            )
        return scaled(rows, self.info.channels, self._scaler)

    def answer(self, rows: Rows, scored: Scored) -> Answer:
        """Return the answers to scored rows."""
        if self.takes_telemetry:
            arguments = self.options.arguments
            return assess(
                self.info,
                rows,
                scored.contributions,
                scored.reconstruction,
                arguments.top_channels,
                arguments.dead_after,
            )
        return PredictorAnswer(scored, np.zeros(len(scored.scores), dtype=np.bool_))


def load(options: ServingOptions, predictor_url: str = "", timeout: float = 600, retries: int = 0) -> RowService:
    """Load the bundle of a server and check it against its digests.

    Args:
        options: Options of the server.
        predictor_url: URL of the predictor; only of a transformer.
        timeout: Seconds to wait for an answer of the predictor.
        retries: Number of further attempts if the predictor refuses the connection.

    Raises:
        InputError: The bundle is missing or damaged.
    """
    bundle = Bundle.load_calibrated(options.arguments.model_dir)
    if options.role is Role.TRANSFORMER:
        scorer: Scorer = RemoteScorer(predictor_url, options.arguments.model_name, bundle, timeout, retries)
    else:
        scorer = LocalScorer(bundle)
    return RowService(options, bundle.info, scorer)

"""The predictor: scaled rows in, scores and the part of every channel in them out (V1 protocol).

Request: `{"instances": [row, ...]}`, a row being the scaled values in the order of the bundle's channels (or an object
of named channels). Answer: `{"predictions": [{"score": nats, "parts": [nats per channel]}, ...], "model_version":
version of the bundle}`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.errors import InputError
from container_component_src.model.bundle import Bundle
from container_component_src.model.scoring import score_parts
from container_component_src.serving.inputs import instances_of, refuse_value, values_of
from container_component_src.serving.server import AnomalyModel, serve


class Predictor(AnomalyModel):
    """Scores rows with a bundle."""

    def __init__(self, name: str, bundle: Bundle) -> None:
        super().__init__(name)
        self._bundle = bundle

    def load(self) -> bool:
        """Be ready, once a first row has been scored.

        Raises:
            InputError: The weights give no number for it.
        """
        first_row = np.zeros((1, len(self._bundle.info.channels)), dtype=np.float32)
        if not np.isfinite(score_parts(self._bundle.model, first_row)).all():
            raise InputError("the model scores a row of zeros as NaN or infinite; train the model again")
        self.ready = True
        return self.ready

    def preprocess(self, payload: object, headers: dict[str, str] | None = None) -> npt.NDArray[np.float32]:
        """The rows of a request, float32 [rows, channels]."""
        channels = self._bundle.info.channels
        values = values_of(instances_of(payload), channels)
        with np.errstate(over="ignore"):
            scaled = values.astype(np.float32)
        if not np.isfinite(scaled).all():
            refuse_value(values, ~np.isfinite(scaled), channels)
        return scaled

    def predict(self, payload: npt.NDArray[np.float32], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Score rows."""
        with np.errstate(over="ignore"):
            parts = score_parts(self._bundle.model, payload)
            scores = parts.sum(axis=1)
        if not np.isfinite(scores).all():
            overflow = ~np.isfinite(scores)[:, np.newaxis]
            largest = np.abs(payload) == np.abs(payload).max(axis=1, keepdims=True)
            refuse_value(payload, overflow & largest, self._bundle.info.channels)
        return {
            "predictions": [
                {"score": score, "parts": row} for score, row in zip(scores.tolist(), parts.tolist(), strict=True)
            ],
            "model_version": self._bundle.info.version,
        }


def serve_bundle(bundle: Bundle, name: str, http_port: int) -> None:
    """Serve a bundle until the process is told to stop.

    Raises:
        InputError: The bundle's weights give no numbers.
        StepError: The server could not start.
    """
    predictor = Predictor(name, bundle)
    predictor.load()
    serve(predictor, http_port)

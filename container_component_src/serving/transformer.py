"""The transformer: raw telemetry in, scores, alarms and the channels behind them out (V1 protocol).

Request: `{"instances": [row, ...]}`, a row being an object `{channel: value}` in engineering units and any order
(channels that the scaler dropped as constant may be there too), or a list of values in the order of the bundle's
channels.
Answer: `{"predictions": [...], "model_version": version of the bundle}`, per row as `answers` says.

The bundle's threshold is calibrated on smoothed scores. Rows of a request stand alone and are not smoothed: with a
smoothing window of 1 both are the same; with a longer one alarms here follow single rows, short ones included.
"""

from typing import Any

import numpy as np

from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.answers import answers
from container_component_src.serving.inputs import Telemetry, instances_of, telemetry_of
from container_component_src.serving.server import AnomalyModel, PredictorError, serve


class Transformer(AnomalyModel):
    """Stands before the predictor of the same bundle; needs its description only, not its weights."""

    def __init__(self, name: str, info: BundleInfo) -> None:
        super().__init__(name)
        self._info = info
        self.ready = True

    def preprocess(self, payload: object, headers: dict[str, str] | None = None) -> Telemetry:
        """Check, order and scale the rows of a request."""
        return telemetry_of(instances_of(payload), self._info.channels, self._info.scaler)

    async def predict(
        self, payload: Telemetry, headers: dict[str, str] | None = None
    ) -> tuple[Telemetry, dict[str, Any]]:
        """Have the predictor score the rows.

        Raises:
            PredictorError: The predictor serves another model.
        """
        answer: dict[str, Any] = await super().predict({"instances": payload.scaled.tolist()}, headers)
        version = answer.get("model_version")
        if version != self._info.version:
            raise PredictorError(
                f"The predictor serves model {version}, the transformer {self._info.version}; wait for the "
                "roll-out to end, or deploy both from one bundle."
            )
        return payload, answer

    def postprocess(
        self, result: tuple[Telemetry, dict[str, Any]], headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """The answer to the request."""
        telemetry, answer = result
        predictions = answer["predictions"]
        return {
            "predictions": answers(
                scores=[prediction["score"] for prediction in predictions],
                parts=np.array([prediction["parts"] for prediction in predictions]),
                observed=telemetry.observed,
                channels=self._info.channels,
                threshold=self._info.thresholds.score,
            ),
            "model_version": answer["model_version"],
        }


def serve_info(info: BundleInfo, name: str, http_port: int, predictor_host: str) -> None:
    """Serve until the process is told to stop.

    Raises:
        StepError: The server could not start.
    """
    serve(Transformer(name, info), http_port, predictor_host)

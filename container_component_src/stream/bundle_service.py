"""A model bundle that scores in this process, in place of a deployed service."""

from typing import Any

from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.model.bundle import Bundle
from container_component_src.serving.client.consecutive import Outputs
from container_component_src.serving.client.model_client import ModelDescription, RefusedRowsError
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.limits import Limits
from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.server.roles import Role, RowService, ServingOptions
from container_component_src.serving.server.scorers import LocalScorer
from container_component_src.steps.serving import ServePredictor
from container_component_src.stream.payloads import EXPECTED


class BundleService:
    """Answers rows as a server of the bundle does.

    Args:
        uri: The bundle.
        top_channels: Contributing channels of a row.
        dead_after: Seconds after which a missing channel is dead.

    Raises:
        InputError: The bundle is missing, damaged or not calibrated.
    """

    def __init__(self, uri: str, top_channels: int, dead_after: float) -> None:
        arguments = ServePredictor(model_dir=uri, top_channels=top_channels, dead_after=dead_after)
        bundle = Bundle.load_calibrated(uri)
        self._scorer = LocalScorer(bundle)
        self._service = RowService(ServingOptions(Role.COMBINED, arguments), bundle.info, self._scorer)

    def describe(self) -> ModelDescription:
        """Return the description of the model."""
        info, limits = self._service.info, Limits(self._service.options.max_body_bytes)
        return ModelDescription(
            info.channels,
            info.version,
            info.context_rows,
            limits.rows(len(info.channels)),
            info.impute_missing,
            info.alarm_source,
        )

    def score(
        self, values: Float64Array, timestamps: Timestamps | None = None, impute: bool = False
    ) -> tuple[dict[str, Any], Outputs]:
        """Score rows; arguments and results are those of `ModelClient.score`, and `EXPECTED` in addition.

        Raises:
            RefusedRowsError: A value is not finite, or its score.
        """
        rows = Rows.of(values, timestamps, impute or self._service.info.impute_missing)
        try:
            scored = self._scorer.scored(self._service.scaled(rows), timestamps)
        except RequestError as error:
            raise RefusedRowsError(str(error)) from error
        scaler = self._service.info.scaler
        expected = scored.reconstruction if scaler is None else scaler.inverse_transform(scored.reconstruction)
        outputs = self._service.answer(rows, scored).tensors() | {EXPECTED: expected}
        return {"model_version": self._service.info.version}, outputs

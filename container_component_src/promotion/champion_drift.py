"""Whether the data of a deployed model has drifted, by the latest rows of the telemetry."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from container_component_src.drift.detection import Rows, find_drift
from container_component_src.drift.scoring import with_scores
from container_component_src.errors import InputError
from container_component_src.model.bundle import Bundle
from container_component_src.promotion.scoring import ModelRows, last_days
from container_component_src.steps.drift import DriftLimits
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.events import Event, inside_any

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriftCheck:
    """What is checked for drift.

    Attributes:
        telemetry_uri: Dataset before the split, not scaled; empty: nothing is checked.
        days: Its last days to check.
        limits: When it is a drift.
    """

    telemetry_uri: str = ""
    days: float = 30.0
    limits: DriftLimits = DriftLimits()  # noqa: RUF009 - frozen

    def reasons(self, champion: Bundle, events: Sequence[Event]) -> tuple[str, ...] | None:
        """Return why the data of a model counts as drifted since its training; empty if it does not, None if unknown.

        Anomalies and rare nominal events are no drift, so rows within them do not count. The test set would not do: it
        has the rows close to events alone, in which scores are higher than usual.
        """
        if not self.telemetry_uri:
            return None
        try:
            telemetry = Dataset.open(self.telemetry_uri)
            rows = ModelRows(telemetry, champion.info.channels, None, last_days(telemetry, self.days))
            return find_drift(champion.info, _normal(_scored(champion, rows), events), self.limits).reasons
        except InputError as error:
            _log.warning("the drift of the deployed model is unknown: %s", error)
            return None


def _scored(champion: Bundle, rows: ModelRows) -> Iterator[Rows]:
    return with_scores(champion, (Rows(frame.timestamps, frame.values) for frame in rows.frames()))


def _normal(pieces: Iterator[Rows], events: Sequence[Event]) -> Iterator[Rows]:
    """Yield the rows outside of events."""
    for piece in pieces:
        normal = ~inside_any(piece.timestamps, events)
        scores = piece.smoothed_scores
        yield Rows(piece.timestamps[normal], piece.values[normal], None if scores is None else scores[normal])

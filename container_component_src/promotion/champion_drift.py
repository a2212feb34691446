"""Whether the data of a deployed model has drifted, by the normal rows on which it is compared with a new one."""

import logging
from collections.abc import Iterator

import numpy as np

from container_component_src.drift.detection import Rows, find_drift
from container_component_src.errors import InputError
from container_component_src.promotion.scoring import ModelRows, ScoredModel
from container_component_src.steps.drift import DriftLimits

_log = logging.getLogger(__name__)


def drift_of(champion: ScoredModel, limits: DriftLimits) -> tuple[str, ...]:
    """Return why the data of a model counts as drifted since its training; empty if it does not, or if it is unknown.

    Anomalies are no drift, so only normal rows count.
    """
    try:
        return find_drift(champion.bundle.info, _normal_rows(champion), limits).reasons
    except InputError as error:
        _log.warning("the drift of the deployed model is unknown: %s", error)
        return ()


def _normal_rows(champion: ScoredModel) -> Iterator[Rows]:
    """Yield the normal ones of the scored rows in engineering units."""
    data, first = champion.alarms.data, 0
    for frame in ModelRows(champion.rows.dataset, champion.rows.channels, None, champion.rows.since).frames():
        normal, scores = data.is_normal[first : first + len(frame)], data.scores[first : first + len(frame)]
        yield Rows(frame.timestamps[normal], frame.values[normal], scores[normal].astype(np.float64))
        first += len(frame)

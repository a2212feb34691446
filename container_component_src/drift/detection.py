"""Detection of drift: a period of telemetry is compared with the data from which a model was made."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from container_component_src.arrays import Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.drift.judgement import Measured, judge
from container_component_src.drift.measures import holm
from container_component_src.drift.period import PeriodCounts
from container_component_src.drift.result import DriftReport, ValueDrift
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.steps.drift import DriftLimits
from container_component_src.telemetry.distribution import Distribution

SCORES = ""  # the name of the scores beside those of the channels
_SHOWN = 10  # channels that a reason names

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Rows of telemetry, in any order."""

    timestamps: Timestamps  # shape [rows]
    values: Float32Array | Float64Array  # engineering units, [rows, channels of the model]; missing ones are not finite
    smoothed_scores: Float64Array | None = None  # nats, [rows]; missing ones are not finite


@dataclass(frozen=True)
class Comparison:
    """A period, and what it is compared with.

    Attributes:
        references: Distribution of each series by name: the channels of the model, and the scores if it has some.
        period: What was counted, with the series in this order.
    """

    references: dict[str, Distribution]
    period: PeriodCounts

    def series(self) -> Iterator[tuple[str, Distribution, IntArray]]:
        """Yield the name, the reference and the counts of each series; see `PeriodCounts.counts`."""
        for number, (name, reference) in enumerate(self.references.items()):
            yield name, reference, self.period.counts(number)


def find_drift(info: BundleInfo, rows: Iterable[Rows], limits: DriftLimits | None = None) -> DriftReport:
    """Compare rows with the training data of a model, and their scores with its calibration.

    Args:
        info: Description of the model.
        rows: Pieces of the period; memory does not grow with their number. All have scores, or none has.
        limits: When it is a drift.

    Raises:
        InputError: The model does not know how its training data is distributed, or there are no rows.
    """
    return make_report(info, count_rows(info, rows), limits or DriftLimits())


def references_of(info: BundleInfo) -> dict[str, Distribution]:
    """Return the distribution of each channel and, if it is known, of the scores.

    Raises:
        InputError: The model has none for a channel.
    """
    found: dict[str, Distribution] = {}
    for name in info.channels:
        known = info.channel_statistics.get(name)
        if known is None or known.distribution is None:
            raise InputError(
                f"the model does not know how channel '{name}' was distributed in its training data", fix="train again"
            )
        found[name] = _with_room(known.distribution, info.constant_spreads.get(name, 0.0))
    if info.calibration and info.calibration.scores:
        found[SCORES] = info.calibration.scores
    return found


def count_rows(info: BundleInfo, rows: Iterable[Rows]) -> Comparison:
    """Count rows for a comparison; arguments and errors are those of `find_drift`."""
    references = references_of(info)
    period = PeriodCounts(tuple(references.values()))
    scored = SCORES in references
    for piece in rows:
        values = _scaled(info, piece.values)
        if scored:
            scores = piece.smoothed_scores
            column = np.full(len(values), np.nan) if scores is None else scores
            values = np.column_stack([values, column])
        period.add(piece.timestamps, values)
    if not period.rows:
        raise InputError("there are no rows to check for drift", fix="choose a period with telemetry")
    return Comparison(references, period)


def make_report(info: BundleInfo, comparison: Comparison, limits: DriftLimits) -> DriftReport:
    """Return which channels have drifted, and whether the limits are exceeded; a drift is logged as a warning."""
    period = comparison.period
    measured = {name: Measured.of(reference, counts, period) for name, reference, counts in comparison.series()}
    if not any(counts[:, :-1].any() for name, _, counts in comparison.series() if name == SCORES):
        measured.pop(SCORES, None)
    adjusted = holm({name: found.p_value for name, found in measured.items() if found.p_value is not None})
    judged = {
        name: judge(measured[name], adjusted.get(name), comparison.references[name], period, limits)
        for name in measured
    }
    scores = judged.pop(SCORES, None)
    reasons = _reasons(judged, scores, limits)
    for reason in reasons:
        _log.warning("drift: %s", reason)
    return DriftReport(
        start=period.first,
        end=period.last,
        rows=period.rows,
        model_version=info.version,
        limits=limits,
        channels=dict(sorted(judged.items(), key=lambda item: (not item[1].drifted, -(item[1].psi or 0)))),
        scores=scores,
        exceeded=bool(reasons),
        reasons=reasons,
    )


def _reasons(channels: Mapping[str, ValueDrift], scores: ValueDrift | None, limits: DriftLimits) -> tuple[str, ...]:
    """Return which limits are exceeded, in words."""
    reasons = []
    names = [name for name, channel in channels.items() if channel.drifted]
    if len(names) > limits.max_drifted_channels:
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        allowed = f", more than {limits.max_drifted_channels}" if limits.max_drifted_channels else ""
        reasons.append(f"{len(names)} of {len(channels)} channels have drifted{allowed}: {shown}")
    if scores is not None and scores.drifted:
        reasons.append("the scores have drifted")
    return tuple(reasons)


def _with_room(reference: Distribution, spread: float) -> Distribution:
    """Return the reference of a channel, with the usual departures of a constant one between its outer edges."""
    first, *inner, last = reference.edges
    return reference.model_copy(update={"edges": (first - spread, *inner, last + spread)}) if spread else reference


def _scaled(info: BundleInfo, values: Float32Array | Float64Array) -> Float32Array:
    """Return scaled values, in which missing ones stay missing, [rows, channels]."""
    given = values.astype(np.float32)
    if info.scaler is None:
        return given
    scaled = info.scaler.transform(given)
    scaled[~np.isfinite(given)] = np.nan
    return scaled

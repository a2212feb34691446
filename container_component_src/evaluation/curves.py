"""Curves of an evaluation, reduced to the few points that a file and a plot need."""

import numpy as np

from container_component_src.arrays import Float64Array, IntArray
from container_component_src.evaluation.downsampling import compress_tail, keep_shape
from container_component_src.evaluation.metrics import MetricCurve
from container_component_src.evaluation.result import PrCurve, RocCurve, ThresholdCurve

CURVE_POINTS = 200


def roc_curve(curve: MetricCurve, top_score: float) -> RocCurve:
    """Return the receiver operating characteristic; it starts at the top score, which no row exceeds."""
    points = keep_shape([curve.false_positive_rate, curve.recall], CURVE_POINTS - 1)[::-1]
    return RocCurve(
        threshold=(top_score, *_column(curve.threshold, points)),
        false_positive_rate=(0.0, *_column(curve.false_positive_rate, points)),
        recall=(0.0, *_column(curve.recall, points)),
    )


def pr_curve(curve: MetricCurve) -> PrCurve:
    """Return the precision-recall curve."""
    points = keep_shape([curve.recall, curve.precision], CURVE_POINTS)[::-1]
    return PrCurve(
        threshold=_column(curve.threshold, points),
        recall=_column(curve.recall, points),
        precision=_column(curve.precision, points),
    )


def threshold_curve(curve: MetricCurve) -> ThresholdCurve:
    """Return all rates over the threshold; the best threshold is one of the points."""
    rates = [curve.precision, curve.recall, curve.f1, curve.event_recall, curve.composite_f1]
    points = np.union1d(keep_shape([compress_tail(curve.threshold), *rates], CURVE_POINTS - 1), curve.best)
    return ThresholdCurve(**{name: _column(getattr(curve, name), points) for name in ThresholdCurve.model_fields})


def _column(values: Float64Array, points: IntArray) -> tuple[float, ...]:
    return tuple(values[points].tolist())

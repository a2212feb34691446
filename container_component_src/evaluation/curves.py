"""Curves of a detector with few enough points for a file and a picture."""

import numpy as np
import numpy.typing as npt

from container_component_src.evaluation.downsampling import keep_shape, spread
from container_component_src.evaluation.metrics import Curve
from container_component_src.evaluation.result import PrCurve, RocCurve, ThresholdCurve

CURVE_POINTS = 200


def roc_curve(curve: Curve, top_score: float) -> RocCurve:
    """The receiver operating characteristic; it begins at the top score, which no row exceeds."""
    points = keep_shape([curve.false_positive_rate, curve.recall], CURVE_POINTS - 1)[::-1]
    return RocCurve(
        threshold=(top_score, *_column(curve.threshold, points)),
        false_positive_rate=(0.0, *_column(curve.false_positive_rate, points)),
        recall=(0.0, *_column(curve.recall, points)),
    )


def pr_curve(curve: Curve) -> PrCurve:
    """The precision-recall curve."""
    points = keep_shape([curve.recall, curve.precision], CURVE_POINTS)[::-1]
    return PrCurve(
        threshold=_column(curve.threshold, points),
        recall=_column(curve.recall, points),
        precision=_column(curve.precision, points),
    )


def curve_over_threshold(curve: Curve) -> ThresholdCurve:
    """All rates over the threshold; the best threshold is among the points."""
    rates = [curve.precision, curve.recall, curve.f1, curve.event_recall, curve.composite_f1]
    points = np.union1d(keep_shape([spread(curve.threshold), *rates], CURVE_POINTS - 1), curve.best)
    return ThresholdCurve(**{name: _column(getattr(curve, name), points) for name in ThresholdCurve.model_fields})


def _column(values: npt.NDArray[np.float64], points: npt.NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(values[points].tolist())

"""Metadata of the evaluation's artifacts, which the pipeline user interface shows."""

from typing import Any

import numpy as np

from container_component_src.evaluation.downsampling import keep_shape
from container_component_src.evaluation.result import ALARM_METRICS, EvaluationResult

CONFIDENCE_POINTS = 100


def evaluation_metadata(result: EvaluationResult) -> dict[str, Any]:
    """Return the metadata of the evaluation file."""
    return {
        **{name: value for name in ALARM_METRICS if (value := getattr(result.calibrated, name)) is not None},
        "best_composite_f1": result.best.composite_f1,
        "test_rows": result.counts.test_rows,
        "events": result.counts.events,
        "rare_nominal_events": len(result.rare_nominal),
        "rare_nominal_events_alarmed": result.calibrated.rare_nominal_events_alarmed,
        "constant_channels": [item.channel for item in result.constant_channels],
        "moved_constant_channels": list(result.moved_channels),
        "events_detected": result.calibrated.events_detected,
        "drift": result.drift.value,
        "scores_shifted": result.scores_shifted,
        "bundle_digest": result.bundle_digest,
        "run_id": result.run_id,
    }


def classification_metadata(result: EvaluationResult) -> dict[str, Any]:
    """Return the metadata of a `system.ClassificationMetrics` artifact: ROC curve and calibrated confusion matrix."""
    roc, metrics = result.roc, result.calibrated
    kept = keep_shape([np.array(roc.false_positive_rate), np.array(roc.recall)], CONFIDENCE_POINTS)
    return {
        "confidenceMetrics": [
            {
                "confidenceThreshold": roc.threshold[point],
                "recall": roc.recall[point],
                "falsePositiveRate": roc.false_positive_rate[point],
            }
            for point in kept
        ],
        # Rows: reported class. Columns: class by the calibrated threshold.
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": "normal"}, {"displayName": "anomalous"}],
            "rows": [
                {"row": [metrics.true_negatives, metrics.false_positives]},
                {"row": [metrics.false_negatives, metrics.true_positives]},
            ],
        },
    }

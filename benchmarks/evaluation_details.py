"""Benchmarks of the evaluation without model inference."""

from statistics import median
from unittest.mock import patch

import numpy as np

from benchmarks.data_details import LABELLED_ROWS, SECOND, example_events
from benchmarks.floors import Stopwatch, seconds_of
from benchmarks.results import Detail
from benchmarks.workspace import Workspace
from container_component_src.alarms.rule import AlarmRule
from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.evaluation import evaluator, metrics
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.vus import volume_of
from container_component_src.model import scoring
from container_component_src.model.scoring import SeriesScorer
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.events import inside_any

REPEATS = 3


def evaluation(work: Workspace) -> list[Detail]:
    """Time an evaluation without its inference, and the metrics of a million scores."""
    inference = Stopwatch()

    class Timed(SeriesScorer):
        def push(self, timestamps: Timestamps, values: Float32Array) -> Float32Array:
            with inference.running():
                return super().push(timestamps, values)

    names = ("calibrated", "scaled/calibration", "scaled/test", "detail_scores")
    model, calibration, test, target = map(work.path, names)
    beyond = []
    for _ in range(REPEATS):
        inference.seconds = 0.0
        with patch.object(scoring, "SeriesScorer", Timed):
            beyond.append(seconds_of(lambda: evaluator.evaluate(model, calibration, test, target)) - inference.seconds)
    rows = Dataset.open(calibration).manifest.rows + Dataset.open(test).manifest.rows
    seconds_of_metrics, seconds_of_volumes = _metrics_of_scores_in_memory()
    return [
        Detail("evaluation beyond inference, reading and writing included", rows, median(beyond), "s"),
        Detail("all thresholds and metrics of scores in memory", LABELLED_ROWS, seconds_of_metrics, "s"),
        Detail("volumes under the surface of scores in memory", LABELLED_ROWS, seconds_of_volumes, "s"),
    ]


def _metrics_of_scores_in_memory() -> tuple[float, float]:
    """Return the seconds of all thresholds and metrics, and of the volumes."""
    timestamps = np.arange(LABELLED_ROWS, dtype=np.int64) * SECOND
    labels = inside_any(timestamps, example_events())
    smoothed = (np.random.default_rng(0).standard_normal(LABELLED_ROWS) + labels).astype(np.float32)

    def labelled() -> LabelledScores:
        return LabelledScores(timestamps, smoothed, labels.astype(np.int8), example_events())

    def compute() -> None:
        data = labelled()
        curve = metrics.metric_curve(data)
        rule = AlarmRule(raise_above=2.0, clear_below=2.0)
        for used in (metrics.best_rule(curve, rule), rule):
            metrics.metrics_at(FoundAlarms.by(used, data))
        metrics.roc_auc(data)
        metrics.pr_auc(data)

    return (
        median(seconds_of(compute) for _ in range(REPEATS)),
        median(seconds_of(lambda: volume_of(labelled())) for _ in range(REPEATS)),
    )

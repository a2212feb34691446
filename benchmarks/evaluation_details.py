"""Evaluation without its inference."""

from statistics import median
from unittest.mock import patch

import numpy as np

from benchmarks.data_details import LABELLED_ROWS, SECOND, made_up_events
from benchmarks.floors import Stopwatch, seconds_of
from benchmarks.results import Detail
from benchmarks.workspace import Workspace
from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.evaluation import evaluator, metrics
from container_component_src.model.scoring import SeriesScorer
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.events import inside_any

REPEATS = 3


def evaluation(work: Workspace) -> list[Detail]:
    """Evaluation without its inference, and the judging of a million scores."""
    inference = Stopwatch()

    class Timed(SeriesScorer):
        def push(self, timestamps: Timestamps, values: Float32Array) -> Float32Array:
            with inference.running():
                return super().push(timestamps, values)

    paths = [work.path(name) for name in ("model", "scaled/val", "scaled/test", "detail_scores")]
    beyond = []
    for _ in range(REPEATS):
        inference.seconds = 0.0
        with patch.object(evaluator, "SeriesScorer", Timed):
            beyond.append(seconds_of(lambda: evaluator.evaluate(*paths)) - inference.seconds)
    rows = Dataset.open(paths[1]).manifest.rows + Dataset.open(paths[2]).manifest.rows
    judged = _judging()
    return [
        Detail("evaluation beyond inference, reading and writing included", rows, median(beyond), "s"),
        Detail("all thresholds and metrics of scores in memory", LABELLED_ROWS, judged, "s"),
    ]


def _judging() -> float:
    timestamps = np.arange(LABELLED_ROWS, dtype=np.int64) * SECOND
    labelled = inside_any(timestamps, made_up_events())
    scores = (np.random.default_rng(0).standard_normal(LABELLED_ROWS) + labelled).astype(np.float32)

    def judge() -> None:
        data = metrics.LabelledScores(timestamps, scores, labelled.astype(np.int8), made_up_events())
        curve = metrics.threshold_curve(data)
        for threshold in (float(curve.threshold[curve.best]), 2.0):
            metrics.at_threshold(data, threshold)
        metrics.roc_auc(data)
        metrics.pr_auc(data)

    return median(seconds_of(judge) for _ in range(REPEATS))

"""Evaluation of the baselines on the model's data: same rows, same smoothing, same calibration of the alarms."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from container_component_src.alarms.calibration import calibrate_rule
from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.evaluation.baselines import Scorer, fit_baselines
from container_component_src.evaluation.bootstrap import Resamples, intervals, resample
from container_component_src.evaluation.curves import pr_curve, roc_curve
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import best_rule, metric_curve, metrics_at, pr_auc, roc_auc
from container_component_src.evaluation.result import BaselineResult
from container_component_src.evaluation.vus import volume_of
from container_component_src.evaluation.windowed_baselines import WindowSeries
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.telemetry.dataset import Dataset, Frame


@dataclass(frozen=True)
class Comparison:
    """Inputs and results of the model that the baselines are compared on."""

    train: Dataset
    calibration: Dataset
    calibration_timestamps: Timestamps  # [rows]
    test: Dataset
    labelled: LabelledScores  # smoothed test scores of the model
    resamples: Resamples | None  # of the model
    info: BundleInfo  # of the model
    seed: int
    window_steps: int  # of the windowed baselines

    def run(self) -> tuple[BaselineResult, ...]:
        """Fit, score and evaluate all baselines on the channels that vary in the training data.

        Memory holds the calibration and test scores of each.
        """
        scorers = fit_baselines(self.train.varying(), self.seed, self.window_steps)
        normal, test = (self._smoothed_scores(scorers, data.varying()) for data in (self.calibration, self.test))
        return tuple(self._evaluate(name, normal.pop(name), test.pop(name)) for name in scorers)

    def _smoothed_scores(self, scorers: Mapping[str, Scorer], dataset: Dataset) -> dict[str, Float32Array]:
        """Return the smoothed scores [rows] of each scorer from one pass over the dataset."""
        smoothers = {name: self.info.smoother() for name in scorers}
        lengths = dict.fromkeys(scorer.window_steps for scorer in scorers.values())
        series = {steps: WindowSeries(steps, self.info.max_gap_ns) for steps in lengths}
        smoothed = {name: np.empty(dataset.manifest.rows, dtype=np.float32) for name in scorers}
        position = 0
        for frame in dataset.frames():
            rows = slice(position, position + len(frame))
            for name, scores in _scores(scorers, series, frame).items():
                smoothed[name][rows] = smoothers[name].push(frame.timestamps, scores)
            position += len(frame)
        return smoothed

    def _evaluate(self, name: str, normal: Float32Array, test: Float32Array) -> BaselineResult:
        """Evaluate a baseline by its smoothed calibration and test scores, [rows] each."""
        labelled = replace(self.labelled, scores=test)
        settings, scores = self.info.calibrated.settings, normal.astype(np.float64)
        rule = calibrate_rule(self.calibration_timestamps, scores, settings, self.info.max_gap_ns).rule
        curve = metric_curve(labelled)
        alarms = FoundAlarms.by(rule, labelled)
        resamples = resample(labelled, self.seed, alarms)
        volume = volume_of(labelled)
        return BaselineResult(
            name=name,
            calibrated=metrics_at(alarms),
            best=metrics_at(FoundAlarms.by(best_rule(curve, rule), labelled)),
            roc_auc=roc_auc(labelled),
            pr_auc=pr_auc(labelled),
            vus_roc=volume.roc,
            vus_pr=volume.pr,
            advantage=self.resamples.differences(resamples) if self.resamples and resamples else {},
            intervals=intervals(alarms, resamples),
            roc=roc_curve(curve, float(test.max())),
            pr=pr_curve(curve),
        )


def _scores(scorers: Mapping[str, Scorer], series: Mapping[int, WindowSeries], frame: Frame) -> dict[str, Float32Array]:
    """Return the scores [rows] of each scorer; scorers of equal windows share these.

    Args:
        scorers: Scorers by name.
        series: Windows of the dataset by their number of steps.
        frame: The next rows of the dataset.
    """
    scores = {name: np.empty(len(frame), dtype=np.float32) for name in scorers}
    for steps, windows_of in series.items():
        alike = {name: scorer for name, scorer in scorers.items() if scorer.window_steps == steps}
        for rows, windows in windows_of.push(frame):
            for name, scorer in alike.items():
                scores[name][rows] = scorer.scores(windows)
    return scores

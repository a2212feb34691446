"""Evaluation of the baselines on the model's data: same rows, same smoothing, same calibration of the alarms."""

from collections.abc import Mapping
from dataclasses import replace

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


class BaselineScores:
    """Smoothed scores of each baseline for the rows of a dataset, which is given in consecutive pieces.

    Args:
        scorers: Scorers by name.
        info: Description of the model's bundle.
        dataset: The dataset.
    """

    def __init__(self, scorers: Mapping[str, Scorer], info: BundleInfo, dataset: Dataset) -> None:
        lengths = dict.fromkeys(scorer.window_steps for scorer in scorers.values())
        self._scorers = scorers
        self._series = {steps: WindowSeries(steps, info.max_gap_ns) for steps in lengths}
        self._smoothers = {name: info.smoother() for name in scorers}
        self._varying = [dataset.channels.index(name) for name in dataset.varying().channels]
        self.smoothed = {name: np.empty(dataset.manifest.rows, dtype=np.float32) for name in scorers}
        self._rows = 0

    def add(self, frame: Frame) -> None:
        """Score the next rows, which have all channels of the dataset."""
        rows = slice(self._rows, self._rows + len(frame))
        varying = Frame(frame.timestamps, frame.values.take(self._varying, axis=1))
        for name, scores in _scores(self._scorers, self._series, varying).items():
            self.smoothed[name][rows] = self._smoothers[name].push(frame.timestamps, scores)
        self._rows = rows.stop


class Comparison:
    """Baselines on the channels that vary in the training data; the model's own passes over its data score them.

    Memory holds the calibration and test scores of each.

    Args:
        train: Scaled training dataset.
        calibration: Scaled calibration dataset.
        test: Scaled test dataset.
        info: Description of the model's bundle.
        window_steps: Time steps of the windowed baselines.

    Attributes:
        normal: Takes the calibration rows.
        test: Takes the test rows.
    """

    def __init__(
        self, train: Dataset, calibration: Dataset, test: Dataset, info: BundleInfo, window_steps: int
    ) -> None:
        scorers = fit_baselines(train.varying(), info.seed, window_steps, info.max_gap_ns)
        self.normal, self.test = (BaselineScores(scorers, info, dataset) for dataset in (calibration, test))
        self._info = info

    def results(
        self, calibration_timestamps: Timestamps, scored: LabelledScores, resamples: Resamples | None
    ) -> tuple[BaselineResult, ...]:
        """Evaluate all baselines on the rows that they have scored.

        Args:
            calibration_timestamps: Shape [rows].
            scored: Smoothed scores of the model for all test rows.
            resamples: Resamples of the model.
        """
        normal, test = self.normal.smoothed, self.test.smoothed
        return tuple(
            self._evaluate(name, calibration_timestamps, normal[name], replace(scored, scores=test[name]), resamples)
            for name in test
        )

    def _evaluate(
        self,
        name: str,
        calibration_timestamps: Timestamps,
        normal: Float32Array,
        scored: LabelledScores,
        model: Resamples | None,
    ) -> BaselineResult:
        """Evaluate a baseline by its smoothed calibration scores, [rows], and those of the labelled test data."""
        settings, scores = self._info.calibrated.settings, normal.astype(np.float64)
        rule = calibrate_rule(calibration_timestamps, scores, settings, self._info.max_gap_ns).rule
        labelled = scored.compared
        curve = metric_curve(labelled)
        alarms = FoundAlarms.by(rule, scored)
        resamples = resample(labelled, self._info.seed, alarms)
        volume = volume_of(labelled)
        return BaselineResult(
            name=name,
            calibrated=metrics_at(alarms),
            best=metrics_at(FoundAlarms.by(best_rule(curve, rule), scored)),
            roc_auc=roc_auc(labelled),
            pr_auc=pr_auc(labelled),
            vus_roc=volume.roc,
            vus_pr=volume.pr,
            advantage=model.differences(resamples) if model and resamples else {},
            intervals=intervals(alarms, resamples),
            roc=roc_curve(curve, float(labelled.scores.max())),
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

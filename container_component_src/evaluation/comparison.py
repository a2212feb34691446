"""The baselines in the model's place: same rows, same smoothing, thresholds calibrated in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from container_component_src.evaluation.baselines import Detector, fit_baselines
from container_component_src.evaluation.bootstrap import Resamples, resample
from container_component_src.evaluation.curves import pr_curve, roc_curve
from container_component_src.evaluation.metrics import (
    LabelledScores,
    at_threshold,
    pr_auc,
    roc_auc,
    threshold_curve,
)
from container_component_src.evaluation.result import BaselineResult
from container_component_src.model.bundle import Thresholds
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.smoothing import Smoother

Smoothed = npt.NDArray[np.float32]  # smoothed scores, shape [rows]


@dataclass(frozen=True)
class Comparison:
    """What the model was given, and how it did there."""

    train: Dataset
    val: Dataset
    test: Dataset
    labelled: LabelledScores  # the model's smoothed test scores
    resamples: Resamples | None  # of the model
    thresholds: Thresholds  # of the model
    seed: int

    def run(self) -> tuple[BaselineResult, ...]:
        """Fit, score and judge all baselines; two scores a row and baseline stay in memory at most."""
        detectors = fit_baselines(self.train, self.seed)
        val, test = self._smoothed(detectors, self.val), self._smoothed(detectors, self.test)
        return tuple(self._judge(name, val.pop(name), test.pop(name)) for name in detectors)

    def _smoothed(self, detectors: Mapping[str, Detector], dataset: Dataset) -> dict[str, Smoothed]:
        smoothers = {name: Smoother(self.thresholds.smoothing_window, self.thresholds.max_gap_ns) for name in detectors}
        found = {name: np.empty(dataset.manifest.rows, dtype=np.float32) for name in detectors}
        position = 0
        for frame in dataset.frames():
            rows = slice(position, position + len(frame))
            for name, detector in detectors.items():
                found[name][rows] = smoothers[name].push(frame.timestamps, detector.scores(frame.values))
            position += len(frame)
        return found

    def _judge(self, name: str, val: Smoothed, test: Smoothed) -> BaselineResult:
        labelled = replace(self.labelled, scores=test)
        calibrated = at_threshold(labelled, float(np.quantile(val, self.thresholds.quantile, overwrite_input=True)))
        curve = threshold_curve(labelled)
        others = resample(labelled, calibrated.threshold, self.seed)
        return BaselineResult(
            name=name,
            calibrated=calibrated,
            best=at_threshold(labelled, float(curve.threshold[curve.best])),
            roc_auc=roc_auc(labelled),
            pr_auc=pr_auc(labelled),
            advantage=self.resamples.differences(others) if self.resamples and others else {},
            roc=roc_curve(curve, float(test.max())),
            pr=pr_curve(curve),
        )

"""Evaluation of the baselines on the model's data: same rows, same smoothing, same calibration of the alarms."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from container_component_src.alarms.calibration import calibrate_rule
from container_component_src.arrays import Float32Array, IntArray, Timestamps
from container_component_src.evaluation.baselines import Scorer, fit_baselines
from container_component_src.evaluation.bootstrap import Resamples, intervals, resample
from container_component_src.evaluation.curves import pr_curve, roc_curve
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import best_rule, metric_curve, metrics_at, pr_auc, roc_auc
from container_component_src.evaluation.result import BaselineResult
from container_component_src.evaluation.vus import volume_of
from container_component_src.limits import usable_cores
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.series import Context
from container_component_src.telemetry.smoothing import Smoother

_BATCH_ROWS = 2_048


class BaselineScores:
    """Smoothed scores of each baseline for the rows of a dataset, which is given in consecutive pieces.

    Args:
        scorers: The baselines.
        windowing: Conversion of rows to their windows.
        info: Description of the model's bundle.
        dataset: The dataset.
    """

    def __init__(self, scorers: Sequence[Scorer], windowing: Windowing, info: BundleInfo, dataset: Dataset) -> None:
        self._scorers, self._windowing = scorers, windowing
        self._context: Context[np.float32] = Context(windowing.steps - 1)
        self._smoothers: dict[str, Smoother] = defaultdict(info.smoother)
        self._varying = [dataset.channels.index(name) for name in dataset.varying().channels]
        self._smoothed: dict[str, list[Float32Array]] = defaultdict(list)

    def add(self, frame: Frame) -> None:
        """Score the next rows, which have all channels of the dataset."""
        with ThreadPoolExecutor(usable_cores()) as pool:
            of_batches = [*pool.map(self._scores, self._batches(frame))]
        for name in of_batches[0]:
            scores = np.concatenate([scores[name] for scores in of_batches])
            smoothed = self._smoothers[name].push(frame.timestamps, scores)
            self._smoothed[name].append(smoothed.astype(np.float32))

    @property
    def smoothed(self) -> dict[str, Float32Array]:
        """Scores by baseline, [rows]."""
        return {name: np.concatenate(pieces) for name, pieces in self._smoothed.items()}

    def _batches(self, frame: Frame) -> Iterator[tuple[Float32Array, IntArray]]:
        """Yield what `Scorer.scores` takes; a batch stays in the processor's cache, see docs/results.md."""
        for first in range(0, len(frame), _BATCH_ROWS):
            batch = slice(first, first + _BATCH_ROWS)
            varying = frame.values[batch].take(self._varying, axis=1)
            timestamps, values, known = self._context.extend(frame.timestamps[batch], varying)
            yield values, self._windowing.rows(self._windowing.starts(timestamps), np.arange(known, len(values)))

    def _scores(self, batch: tuple[Float32Array, IntArray]) -> dict[str, Float32Array]:
        return {name: scores for scorer in self._scorers for name, scores in scorer.scores(*batch).items()}


class Comparison:
    """Baselines on the channels that vary in the training data; the model's own passes over its data score them.

    Memory holds the calibration and test scores of each.

    Args:
        sample: Windows of the channels that vary in the scaled training dataset, [windows, steps * channels].
        windowing: Conversion of rows to such windows.
        calibration: Scaled calibration dataset.
        test: Scaled test dataset.
        info: Description of the model's bundle.

    Attributes:
        normal: Takes the calibration rows.
        test: Takes the test rows.
    """

    def __init__(
        self, sample: Float32Array, windowing: Windowing, calibration: Dataset, test: Dataset, info: BundleInfo
    ) -> None:
        scorers = fit_baselines(sample, info.seed, windowing.steps)
        self.normal, self.test = (BaselineScores(scorers, windowing, info, dataset) for dataset in (calibration, test))
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

"""The scoring of the baselines, in the passes of the model over its data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.arrays import Float32Array
from container_component_src.evaluation.baselines import QuadraticScorer, Scorer
from container_component_src.evaluation.comparison import BaselineScores
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.windowed_baselines import WindowScorer
from container_component_src.model.windows import Windowing
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.scaler import Scaler
from tests.evaluation.cases import write_case
from tests.helpers import write_dataset
from tests.serving.bundles import bundle_info

VALUES = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
SCALER = Scaler(
    type=ScalerType.STANDARD, channels=("a", "b", "c"), centre=(0, 0, 0), scale=(1, 1, 1), constant=("b",)
)  # fmt: skip


def scored(dataset: Dataset, cuts: Sequence[int]) -> dict[str, Float32Array]:
    """Return the scores of some baselines of the channels that vary, whose centre is 0."""
    zeros, ones = np.zeros(4, dtype=np.float32), np.ones(2, dtype=np.float32)
    scorers: list[Scorer] = [
        QuadraticScorer(zeros[:2], np.eye(2, dtype=np.float32), {"z_score": ones}, {"mahalanobis": ones}),
        WindowScorer(2, zeros[np.newaxis], zeros, np.eye(4, dtype=np.float32)[:1]),
    ]
    info = bundle_info(smoothing=Smoothing.MEAN, smoothing_window=3)
    scores = BaselineScores(scorers, Windowing(2), info, dataset)
    for rows in np.split(np.arange(len(VALUES)), cuts):
        scores.add(Frame(rows * 10**9, VALUES[rows]))
    return scores.smoothed


def test_scores_are_of_the_channels_that_vary_whatever_the_pieces(tmp_path: Path) -> None:
    written = write_dataset(tmp_path, VALUES, ["a", "b", "c"])
    dataset = replace(written, manifest=written.manifest.model_copy(update={"scaler": SCALER}))
    whole, cut = scored(dataset, []), scored(dataset, [1, 7, 30])
    squares = VALUES[:, 0] ** 2 + VALUES[:, 2] ** 2
    expected = [squares[max(0, row - 2) : row + 1].mean() for row in range(len(VALUES))]
    np.testing.assert_allclose(whole["z_score"], expected, rtol=1e-5)
    assert all(np.array_equal(cut[name], whole[name]) for name in whole)


def test_baselines_read_no_row_that_the_model_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = write_case(tmp_path)
    read, of_partition = [], Dataset.read

    def counted(dataset: Dataset, partition: Partition, *arguments: Any, **options: Any) -> Frame:
        read.append((dataset.location.uri, partition.file))
        return of_partition(dataset, partition, *arguments, **options)

    monkeypatch.setattr(Dataset, "read", counted)
    evaluate(case.bundle, case.calibration, case.test, str(case.out))
    alone = read.copy()
    read.clear()
    evaluate(case.bundle, case.calibration, case.test, str(case.out), case.train)
    assert [item for item in read if item[0] != case.train] == alone

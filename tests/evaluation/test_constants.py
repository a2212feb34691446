"""A channel that is constant in the training data, from the scaler to the evaluation."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import ConstantChannel, Departures, EvaluationResult
from container_component_src.model.calibration import calibrate
from container_component_src.model.training import train
from container_component_src.steps.calibration import Calibrate
from container_component_src.steps.data import ScalerType
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.scaling import fit_scaler, scale_datasets
from tests.model.datasets import SECOND, make_values

CHANNELS = ("pressure", "door", "temperature", "valve", "fan")  # the second and the fourth are constant
ROWS = {"train": 400, "val": 200, "test": 200}
EVENT = slice(120, 140)  # of the test rows


@dataclass(frozen=True)
class Outcome:
    """An evaluation and the scores that it wrote."""

    result: EvaluationResult
    scores: Frame


def telemetry(valve: float) -> dict[str, Frame]:
    """Return data in which the valve leaves its constant 20 in the event only, by this much."""
    frames = {}
    for seed, (name, rows) in enumerate(ROWS.items()):
        values = np.insert(make_values(rows, seed, 3), [1, 2], [1.0, 20.0], axis=1)
        labels = np.zeros(rows, dtype=np.int8)
        if name == "test":
            values[EVENT, 3] += valve
            labels[EVENT] = 1
        if name == "val":
            values[30:33, 1] = 0.0  # the door opens once
        frames[name] = Frame((1000 * seed + np.arange(rows, dtype=np.int64)) * SECOND, values, labels)
    return frames


def run(folder: Path, frames: dict[str, Frame], channels: tuple[str, ...] = CHANNELS) -> Outcome:
    """Scale the data, train for two epochs and evaluate with baselines."""
    first, last = frames["test"].timestamps[[EVENT.start, EVENT.stop - 1]].tolist()
    for name, frame in frames.items():
        events = (Event(id="1", start=first, end=last + 1, causes=("valve",)),) if name == "test" else ()
        with DatasetWriter(str(folder / name), "time", channels) as writer:
            first_part = np.arange(len(frame)) < 131
            for part in (first_part, ~first_part):
                writer.write(frame.where(part))
            writer.commit(events=events)
    scaler = fit_scaler(str(folder / "train"), ScalerType.STANDARD)
    scaled = {name: str(folder / "scaled" / name) for name in frames}
    scale_datasets({name: Dataset.open(str(folder / name)) for name in frames}, scaler, scaled)
    arguments = TrainingArguments(
        train_df_path=scaled["train"], val_df_path=scaled["val"], model_output_file=str(folder / "model"),
        batch_size=50, max_epochs=2, min_epoch_steps=1, latent_dim=2, hidden_dims=(8, 4), lr=0.01,
    )  # fmt: skip
    train(arguments)
    settings = Calibrate(
        bundle_path=str(folder / "model"), calibration_df_path=scaled["val"], calibrated_model_path="-",
        smoothing_window=3, alarm_quantile=0.99,
    )  # fmt: skip
    calibrate(settings, str(folder / "calibrated"))
    scores = str(folder / "scores")
    result = evaluate(str(folder / "calibrated"), scaled["val"], scaled["test"], scores, scaled["train"], 4)
    return Outcome(result, Dataset.open(scores).load())


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("moved"), telemetry(valve=3.0))


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(tmp_path_factory.mktemp("still"), telemetry(valve=0.0))


def test_a_departure_raises_the_score_by_its_size_in_resolutions(moved: Outcome, still: Outcome) -> None:
    difference = moved.scores.values[:, 0] - still.scores.values[:, 0]
    np.testing.assert_allclose(difference[EVENT], 100 * np.log1p(30**2 / 199), rtol=1e-3)
    assert not np.delete(difference, EVENT).any()
    assert moved.result.roc_auc > 0.95 > still.result.roc_auc


def test_the_channel_that_moved_is_named_first(moved: Outcome, still: Outcome) -> None:
    (event,) = moved.result.events
    assert event.detected
    assert event.top_channels[0].channel == "valve"
    assert event.top_channels[0].excess == pytest.approx(100 * np.log1p(30**2 / 199), rel=1e-3)
    assert moved.result.root_cause is not None
    assert moved.result.root_cause.hit_rate_100 == 1
    assert still.result.root_cause is not None
    assert still.result.root_cause.hit_rate_100 == 0


def test_the_result_says_which_channels_are_constant_and_where_they_moved(moved: Outcome, still: Outcome) -> None:
    door = ConstantChannel(
        channel="door", constant=1.0, resolution=0.01,
        calibration=Departures(rows=3, first=1030 * SECOND), test=Departures(rows=0, first=None),
    )  # fmt: skip
    valve = ConstantChannel(
        channel="valve", constant=20.0, resolution=0.1,
        calibration=Departures(rows=0, first=None), test=Departures(rows=20, first=2120 * SECOND),
    )  # fmt: skip
    assert moved.result.constant_channels == (door, valve)
    assert moved.result.moved_channels == ("door", "valve")
    scalars = moved.result.scalars()
    assert (scalars["constant_channels"], scalars["moved_constant_channels"]) == (2, 2)
    assert still.result.moved_channels == ("door",)


def test_a_channel_that_moves_in_the_calibration_data_leaves_the_threshold_to_the_others(moved: Outcome) -> None:
    """The door opens in 1.5 % of the calibration rows, beyond the quantile of the threshold."""
    assert moved.result.calibrated.threshold < 100 < 100 * np.log1p(100**2 / 199)


def test_baselines_see_only_channels_that_vary(moved: Outcome, tmp_path: Path) -> None:
    frames = {
        name: Frame(frame.timestamps, frame.values[:, [0, 2, 4]], frame.labels)
        for name, frame in telemetry(valve=3.0).items()
    }
    without = run(tmp_path, frames, ("pressure", "temperature", "fan"))
    assert [item.name for item in moved.result.baselines] == [item.name for item in without.result.baselines]
    for found, expected in zip(moved.result.baselines, without.result.baselines, strict=True):
        assert found.model_copy(update={"advantage": {}}) == expected.model_copy(update={"advantage": {}})
    assert without.result.constant_channels == ()
    assert math.isfinite(without.result.calibrated.threshold)

from pathlib import Path

import numpy as np
import pytest

from container_component_src.model import calibration
from container_component_src.model.calibration import (
    alarm_threshold,
    calibrate,
    channel_statistics,
    tail_quantile,
    usual_departures,
)
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.data import ScalerType
from container_component_src.steps.training import Smoothing, TrainingArguments
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.scaler import Scaler
from tests.model.datasets import CHANNELS, make_values, write_dataset


def test_channel_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.stack([np.arange(101), np.full(101, 3)], axis=1).astype(np.float32)
    dataset = Dataset.open(write_dataset(tmp_path / "data", values, channels=("ramp", "constant")))
    statistics = channel_statistics(dataset)
    assert statistics["ramp"].mean == pytest.approx(50)
    assert statistics["ramp"].std == pytest.approx(np.sqrt((101**2 - 1) / 12))
    assert statistics["ramp"].quantiles["0.25"] == pytest.approx(25)
    assert (statistics["constant"].std, statistics["constant"].quantiles["0.99"]) == (0, 3)
    monkeypatch.setattr(calibration, "STATISTICS_ROWS", 11)
    assert channel_statistics(dataset)["ramp"].quantiles["0.5"] == pytest.approx(50)


def test_tail_of_an_exponential_distribution() -> None:
    probabilities = (np.arange(200_000) + 0.5) / 200_000
    scores = 5 - 3 * np.log1p(-probabilities)
    for quantile in (0.99, 0.999, 0.9999999):  # the last one is above all scores
        assert tail_quantile(scores, quantile) == pytest.approx(5 - 3 * np.log(1 - quantile), rel=0.01)
    highest = tail_quantile(scores, 0.9999999)
    assert highest is not None
    assert highest > scores.max()


def test_tail_of_a_bounded_distribution() -> None:
    assert tail_quantile(np.linspace(0, 1, 100_000), 0.99999) == pytest.approx(1.0, abs=0.001)


def test_the_threshold_of_the_method(caplog: pytest.LogCaptureFixture) -> None:
    scores = np.linspace(0, 1, 10_000) ** 3
    assert alarm_threshold(scores, 0.5, "quantile") == (np.quantile(scores, 0.5), "quantile")
    tail = tail_quantile(scores, 0.99)
    assert alarm_threshold(scores, 0.99, "peaks_over_threshold") == (tail, "peaks_over_threshold")
    assert tail != np.quantile(scores, 0.99)
    assert not caplog.records


TIED = np.repeat(
    np.arange(50.0), [*[200] * 30, *[1] * 20]
)  # the quantile 0.99 is below the tail, in which few rows are


@pytest.mark.parametrize(
    ("scores", "quantile"),
    [
        pytest.param(np.arange(100.0), 0.99, id="few rows"),
        pytest.param(np.arange(5.0), 0.99, id="very few rows"),
        pytest.param(np.ones(10_000), 0.99, id="equal scores"),
        pytest.param(TIED, 0.985, id="most of the tail is at its start"),
        pytest.param(np.r_[np.zeros(980), np.logspace(0, 150, 20)], 1 - 1e-15, id="no finite quantile"),
    ],
)
def test_without_a_tail_to_fit_the_threshold_is_the_quantile(
    scores: np.ndarray, quantile: float, caplog: pytest.LogCaptureFixture
) -> None:
    assert tail_quantile(scores, quantile) is None
    threshold, method = alarm_threshold(scores, quantile, "peaks_over_threshold")
    assert (threshold, method) == (np.quantile(scores, quantile), "quantile")
    assert "no distribution fits the highest 2 %" in caplog.text


def test_the_bundle_names_the_method_that_found_the_threshold(tmp_path: Path) -> None:
    """Few validation rows are no reason to lose a training."""
    rows = write_dataset(tmp_path / "rows", make_values(60, seed=1))
    arguments = TrainingArguments(
        train_df_path=rows,
        val_df_path=rows,
        model_output_file=str(tmp_path / "bundle"),
        threshold_method="peaks_over_threshold",
        smoothing=Smoothing.NONE,
    )
    dataset = Dataset.open(rows)
    model = TimeStampVAE(len(dataset.channels), latent_dim=2, hidden_dims=(8, 4)).eval()
    thresholds = calibrate(model, dataset, arguments)
    assert thresholds.method == "quantile of the smoothed validation scores"
    assert (thresholds.smoothing, thresholds.smoothing_window) == (Smoothing.NONE, 1)


def _with_constants(folder: Path, departures: np.ndarray) -> Dataset:
    """200 rows of the usual channels, and constant ones before them with these departures, [channels, rows]."""
    names = (*(f"constant{number}" for number in range(len(departures))), *CHANNELS)
    ones = (1.0,) * len(names)
    scaler = Scaler(
        type=ScalerType.STANDARD, channels=names, centre=ones, scale=ones, constant=names[: len(departures)]
    )
    values = np.column_stack([*departures, make_values(200, seed=1)]).astype(np.float32)
    return Dataset.open(write_dataset(folder, values, names, scaler))


def test_usual_departures_are_root_mean_squares_of_at_least_one(tmp_path: Path) -> None:
    departures = np.zeros((4, 200))
    departures[1, :2] = 0.5, -0.5
    departures[2, :8] = 100, -100, 100, -100, 100, 100, 100, 100
    departures[3, :] = 1e30  # counts as a million
    assert usual_departures(_with_constants(tmp_path / "val", departures)) == {
        "constant0": 1.0, "constant1": 1.0, "constant2": pytest.approx(20.0), "constant3": pytest.approx(1e6),
    }  # fmt: skip
    plain = Dataset.open(write_dataset(tmp_path / "plain", make_values(20, seed=1)))
    assert usual_departures(plain) == {}


def test_a_constant_channel_that_moves_in_the_validation_data_does_not_hide_all_else(tmp_path: Path) -> None:
    """Otherwise the threshold would be 500,000 nats."""
    moving = np.zeros((1, 200))
    moving[0, 100:140] = 1000
    arguments = TrainingArguments(
        train_df_path="-", val_df_path="-", model_output_file="-", alarm_quantile=0.99, smoothing=Smoothing.NONE
    )
    model = TimeStampVAE(len(CHANNELS), 2, (8, 4)).eval()
    still, moved = (
        calibrate(model, _with_constants(tmp_path / name, values), arguments)
        for name, values in (("still", 0 * moving), ("moving", moving))
    )
    assert still.constant_spreads == {"constant0": 1.0}
    assert still.channel_nats[0] == 0
    assert 0 < moved.channel_nats[0] < 0.5
    assert still.score <= moved.score < still.score + 5

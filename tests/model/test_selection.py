import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from container_component_src.arrays import Float32Array
from container_component_src.model import selection
from container_component_src.model.ensemble import Ensemble
from container_component_src.model.forecaster import Forecaster
from container_component_src.model.network import Network
from container_component_src.model.selection import Selection, balance, first_rows, member_scores, select
from container_component_src.model.synthetic_anomalies import Injection
from container_component_src.model.vae import TimeStampVAE
from container_component_src.model.windows import Windowing
from container_component_src.steps.calibration import AlarmSettings, Smoothing
from container_component_src.telemetry.dataset import Dataset
from tests.model.datasets import CHANNELS, SECOND, make_values, write_dataset

Contributions = Callable[[Tensor], Tensor]


def smooth_by(method: Smoothing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a calibration smooth scores over 3 time steps by default."""
    monkeypatch.setattr(selection, "AlarmSettings", lambda: AlarmSettings(smoothing=method, smoothing_window=3))


@pytest.fixture(autouse=True)
def unsmoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    smooth_by(Smoothing.NONE, monkeypatch)


class Stub(Network):
    """Network of a given function of the present time step."""

    def __init__(self, contributions: Contributions, window_steps: int = 1) -> None:
        super().__init__()
        self._contributions = contributions
        self.window_steps = window_steps

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return self._contributions(values), values

    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def validation_loss(self, values: Tensor) -> Tensor:
        raise NotImplementedError


def pseudorandom(values: Tensor) -> Tensor:
    return torch.frac(1e4 * values).abs()


def infinite(values: Tensor) -> Tensor:
    return torch.full_like(values, torch.inf)


def ensemble_of(vae: Contributions, forecaster: Contributions, window_steps: int = 1) -> Ensemble:
    return Ensemble({"vae": Stub(vae, window_steps), "forecaster": Stub(forecaster, window_steps)})


def quiet_dataset(folder: Path, rows: int = 2000) -> Dataset:
    """Write small noise, in which anomalies of a few standard deviations have the largest values, and a constant."""
    values = np.random.default_rng(0).uniform(-1, 1, (rows, 1)).astype(np.float32)
    return Dataset.open(write_dataset(folder / "val", values, channels=("one",)))


@pytest.mark.parametrize(
    ("vae", "forecaster", "weights"),
    [
        pytest.param(torch.clone, lambda values: 3 * values - 7, [0.75, 0.25], id="by the inverse spread"),
        pytest.param(torch.zeros_like, torch.clone, [0, 1], id="one without spread"),
        pytest.param(torch.zeros_like, torch.ones_like, [0.5, 0.5], id="none has a spread"),
        pytest.param(torch.clone, infinite, [1, 0], id="infinite scores"),
        pytest.param(infinite, infinite, [0.5, 0.5], id="infinite scores alone"),
    ],
)
def test_balanced_weights(vae: Contributions, forecaster: Contributions, weights: list[float], tmp_path: Path) -> None:
    ensemble = ensemble_of(vae, forecaster)
    val = Dataset.open(write_dataset(tmp_path / "val", make_values(400, 1)))
    balance(ensemble, val, Windowing())
    assert ensemble.weights.dtype == torch.float32
    assert ensemble.weights.tolist() == pytest.approx(weights)


def test_balanced_weights_of_skewed_scores(tmp_path: Path) -> None:
    values = np.arange(101, dtype=np.float32)[:, np.newaxis]
    val = Dataset.open(write_dataset(tmp_path / "val", values, channels=("ramp",)))
    ensemble = ensemble_of(torch.clone, torch.square)
    balance(ensemble, val, Windowing())
    spreads = np.array([99 - 50, 99**2 - 50**2])
    assert ensemble.weights.tolist() == pytest.approx((1 / spreads / (1 / spreads).sum()).tolist())


@pytest.mark.parametrize("others", [torch.zeros_like, pseudorandom], ids=["constant", "random"])
@pytest.mark.parametrize("best", ["vae", "forecaster"])
def test_the_member_that_finds_the_anomalies_is_chosen(best: str, others: Contributions, tmp_path: Path) -> None:
    val = quiet_dataset(tmp_path)
    ensemble = ensemble_of(torch.abs, others) if best == "vae" else ensemble_of(others, torch.abs)
    ensemble.weights.copy_(torch.full((2,), 0.5))
    choice = select(ensemble, val, Windowing(), seed=0)
    precision = choice.average_precision
    assert list(precision) == ["ensemble", "vae", "forecaster"]
    other = ({"vae", "forecaster"} - {best}).pop()
    assert precision[best] > 0.5
    assert precision[other] < 0.3
    if others is pseudorandom:
        assert choice.detector == best
        assert precision[best] > precision["ensemble"] > precision[other]
    else:  # a constant score does not change the order of the ensemble's
        assert choice.detector == "ensemble"
        assert precision["ensemble"] == precision[best]


def test_members_that_complement_each_other_make_the_ensemble_win(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (2000, 2)).astype(np.float32)
    val = Dataset.open(write_dataset(tmp_path / "val", values, channels=("one", "two")))
    ensemble = ensemble_of(lambda x: x.abs() * torch.tensor([1, 0]), lambda x: x.abs() * torch.tensor([0, 1]))
    choice = select(ensemble, val, Windowing(), seed=0)
    assert choice.detector == "ensemble"
    assert choice.average_precision["ensemble"] > max(
        choice.average_precision["vae"], choice.average_precision["forecaster"]
    )


def test_a_perfect_score(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Normal rows are 0, and rows after an anomaly, which are as high as it, are left out."""
    values = np.zeros((2000, 1), dtype=np.float32)
    val = Dataset.open(write_dataset(tmp_path / "val", values, channels=("one",)))

    def injected(values: Float32Array, *_: object) -> Injection:
        rows = np.arange(len(values)) % 100
        return Injection(
            (rows < 30).astype(np.float32)[:, np.newaxis], (rows < 10).astype(np.int8), (rows >= 10) & (rows < 30)
        )

    monkeypatch.setattr(selection, "inject", injected)
    choice = select(ensemble_of(torch.zeros_like, torch.clone), val, Windowing(), seed=0)
    assert choice.average_precision == pytest.approx({"ensemble": 1, "vae": 0.1 / 0.8, "forecaster": 1})


def test_the_choice_depends_on_the_seed_alone_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    val = quiet_dataset(tmp_path)
    ensemble = ensemble_of(torch.abs, pseudorandom)
    with caplog.at_level(logging.INFO):
        first, again, other = (select(ensemble, val, Windowing(), seed) for seed in (1, 1, 2))
    assert first == again
    assert first.average_precision != other.average_precision
    (line, *_) = caplog.messages
    assert line == (
        "average precision on synthetic anomalies: "
        + ", ".join(f"{name} {value:.3f}" for name, value in first.average_precision.items())
        + "; the detector is the vae"
    )


def test_scores_are_smoothed_as_a_calibration_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise in the scores hides long anomalies from a detector whose scores are not smoothed."""
    val = quiet_dataset(tmp_path)
    ensemble = ensemble_of(lambda x: x.abs() + 2 * pseudorandom(x), torch.zeros_like)
    raw = select(ensemble, val, Windowing(), 0)
    smooth_by(Smoothing.EXPONENTIAL, monkeypatch)
    smoothed = select(ensemble, val, Windowing(), 0)
    assert smoothed.average_precision["vae"] > raw.average_precision["vae"] + 0.05
    assert smoothed.average_precision["forecaster"] == pytest.approx(raw.average_precision["forecaster"])


@pytest.mark.parametrize(
    ("rows", "change", "max_gap_ns"),
    [(199, 1, SECOND), (400, 0, SECOND), (400, 1, SECOND - 1)],
    ids=["few rows", "constant", "gaps everywhere"],
)
def test_without_room_for_anomalies_the_vae_is_kept(
    rows: int, change: int, max_gap_ns: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = (change * make_values(rows, 0)).astype(np.float32)
    val, windowing = Dataset.open(write_dataset(tmp_path / "val", values)), Windowing(1, max_gap_ns)
    assert select(ensemble_of(torch.zeros_like, torch.abs), val, windowing, 0) == Selection("vae", {})
    assert f"{rows} validation rows have no room for synthetic anomalies" in caplog.text


def test_the_weights_count(tmp_path: Path) -> None:
    ensemble = ensemble_of(torch.abs, lambda values: -values.abs())
    ensemble.weights.copy_(torch.tensor([0.75, 0.25]))
    precision = select(ensemble, quiet_dataset(tmp_path), Windowing(), seed=0).average_precision
    assert precision["ensemble"] == precision["vae"] > precision["forecaster"]


def test_infinite_scores_are_the_highest(tmp_path: Path) -> None:
    ensemble = ensemble_of(lambda x: torch.where(x.abs() > 1, torch.inf, 0.0), pseudorandom)
    choice = select(ensemble, quiet_dataset(tmp_path), Windowing(), seed=0)
    assert choice.average_precision["vae"] > choice.average_precision["forecaster"] + 0.2


def test_windows_restart_after_gaps(tmp_path: Path) -> None:
    values = make_values(300, 0)
    frame = Dataset.open(write_dataset(tmp_path / "val", values)).load()
    frame.timestamps[150:] += 100 * SECOND
    ensemble = ensemble_of(torch.clone, lambda windows: windows[:, : len(CHANNELS)], window_steps=2)
    whole, past = member_scores(ensemble, frame, Windowing(2, 10 * SECOND))
    now = values.sum(axis=1)
    before = np.concatenate([now[:1], now[:149], now[150:151], now[150:-1]])
    assert past == pytest.approx(before, abs=1e-4)
    assert whole == pytest.approx(now + before, abs=1e-4)


def test_scores_are_those_of_the_ensemble(tmp_path: Path) -> None:
    torch.manual_seed(0)
    members: dict[str, Network] = {
        "vae": TimeStampVAE(len(CHANNELS), 2, (8, 4), window_steps=5),
        "forecaster": Forecaster(len(CHANNELS), (8, 4), window_steps=5),
    }
    ensemble, windowing = Ensemble(members), Windowing(5, 10 * SECOND)
    val = Dataset.open(write_dataset(tmp_path / "val", make_values(400, 1)))
    balance(ensemble, val, windowing)
    frame = val.load()
    (windows,) = windowing.batches(frame.values, frame.timestamps, 400)
    with torch.inference_mode():
        scores = ensemble(torch.from_numpy(windows))[0].sum(dim=1).numpy()
    assert ensemble.weights.numpy() @ member_scores(ensemble, frame, windowing) == pytest.approx(scores, rel=1e-4)
    assert {*select(ensemble, val, windowing, seed=0).average_precision} == {"ensemble", "vae", "forecaster"}


@pytest.mark.parametrize("rows", [1, 99, 100, 101, 200, 300])
def test_first_rows(rows: int, tmp_path: Path) -> None:
    values = make_values(200, 0)
    dataset = Dataset.open(write_dataset(tmp_path / "data", values, labelled=True))
    if rows <= 100:  # which the first partition has
        (tmp_path / "data" / dataset.manifest.partitions[1].file).unlink()
    frame = first_rows(dataset, rows)
    assert np.array_equal(frame.values, values[:rows])
    assert np.array_equal(frame.timestamps, SECOND * np.arange(min(rows, 200)))

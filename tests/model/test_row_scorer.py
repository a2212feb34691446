from functools import partialmethod

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from container_component_src.arrays import Float32Array
from container_component_src.model import row_scorer
from container_component_src.model.ensemble import Ensemble
from container_component_src.model.forecaster import Forecaster
from container_component_src.model.hardware import CPU
from container_component_src.model.network import Network
from container_component_src.model.row_scorer import RowScorer
from container_component_src.model.vae import TimeStampVAE
from tests.model.datasets import SECOND, make_values


def test_contributions_do_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = TimeStampVAE(5, 2, (8, 4)).eval()
    model.log_variance.data = torch.linspace(-2, 1, 5)
    values = make_values(23, seed=1)
    with torch.no_grad():
        expected = [output.numpy() for output in model(torch.from_numpy(values))]
    scorer = RowScorer(model)
    contributions = scorer.contributions(values)
    assert contributions.dtype == np.float32
    np.testing.assert_allclose(contributions, expected[0], rtol=1e-5)
    np.testing.assert_allclose(scorer.scores(values), expected[0].sum(axis=1), rtol=1e-5)
    monkeypatch.setattr(row_scorer, "BATCH_ROWS", 7)
    for found, wanted in zip(scorer.contributions_and_reconstruction(values), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def networks() -> list[Network]:
    torch.manual_seed(0)
    found: list[Network] = [
        TimeStampVAE(181, 24, (128, 64)),
        TimeStampVAE(3, 2, (8, 5), window_steps=2),
        Ensemble({"vae": TimeStampVAE(46, 5, (100, 33), window_steps=5), "next": Forecaster(46, (30, 20))}),
    ]
    for network in found:
        for weight in network.parameters():
            nn.init.normal_(weight, std=0.1)
    return found


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("network", networks(), ids=["vae", "windows", "ensemble"])
def test_a_row_has_the_same_bits_alone_and_among_many(network: Network, threads: int) -> None:
    rows = 1_500
    scorer, before = RowScorer(network.eval()), torch.get_num_threads()
    channels = network.log_variance.numel() if isinstance(network, TimeStampVAE) else 46
    values = make_values(rows, seed=1, channels=channels)
    timestamps = np.arange(rows, dtype=np.int64) * SECOND
    torch.set_num_threads(threads)
    try:
        expected = scorer.contributions_and_reconstruction(values, timestamps)
        for first, stop in [(0, 1), (0, 70), (901, 902), (1023, 1026), (7, 1431)]:
            begin = max(0, first - network.window_steps + 1)
            found = scorer.contributions_and_reconstruction(values[begin:stop], timestamps[begin:stop])
            for outputs, wanted in zip(found, expected, strict=True):
                np.testing.assert_array_equal(outputs[first - begin :], wanted[first:stop])
    finally:
        torch.set_num_threads(before)


class Halves(Network):
    """Contributions are the values of the present time step, and the reconstruction is half of them."""

    def __init__(self, window_steps: int, channels: int) -> None:
        super().__init__()
        self.window_steps = window_steps
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        present = windows[:, -len(self.weight) :] * self.weight
        return present, present / 2

    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def validation_loss(self, values: Tensor) -> Tensor:
        raise NotImplementedError


class Kernels(Halves):
    """Rounds the rows after the last block of 64 in another way."""

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        present, half = super().forward(windows)
        present[len(present) // 64 * 64 :] *= 1.1
        return present, half


def test_blocks_of_rows_are_filled_where_their_number_matters() -> None:
    values = make_values(70, seed=1)
    expected = RowScorer(Kernels(1, 5)).contributions(values)
    np.testing.assert_array_equal(expected, values)
    np.testing.assert_array_equal(RowScorer(Kernels(1, 5)).contributions(values[69:]), expected[69:])


def test_no_rows() -> None:
    assert RowScorer(TimeStampVAE(5, 2, (8, 4))).contributions(np.empty((0, 5), dtype=np.float32)).shape == (0, 5)


def test_outlier_raises_the_contribution_of_its_channel() -> None:
    torch.manual_seed(0)
    values = make_values(10, seed=1)
    values[4, 2] += 50
    contributions = RowScorer(TimeStampVAE(5, 2, (8, 4)).eval()).contributions(values)
    assert contributions.argmax() == 4 * 5 + 2


@pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda", 0), marks=pytest.mark.gpu)])
@pytest.mark.parametrize("spreads", [{}, {1: 0.5, 4: 2.0}])
@pytest.mark.parametrize("window_steps", [1, 3])
def test_scores_do_not_depend_on_the_device(
    window_steps: int, spreads: dict[int, float], device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_scorer, "_DEVICE_BATCH_ROWS", 30)
    torch.manual_seed(0)
    model = TimeStampVAE(5 - len(spreads), 2, (8, 4), window_steps=window_steps).eval()
    values = make_values(100, seed=1)
    timestamps = np.cumsum(np.where(np.arange(100) % 40 == 39, 9, 1)) * SECOND
    scorer = RowScorer(model, spreads, max_gap_ns=SECOND)
    expected = scorer.contributions_and_reconstruction(values, timestamps)
    model.to(device)
    monkeypatch.setattr(RowScorer, "_on_cpu", partialmethod(RowScorer._on_device, device=device))
    for found, wanted in zip(scorer.contributions_and_reconstruction(values, timestamps), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window_steps", [1, 3])
def test_constant_channels_contribute_by_their_departure_alone(window_steps: int) -> None:
    scorer = RowScorer.of(Halves(window_steps, 2), ("valve", "pump", "door", "fan"), {"door": 1.0, "valve": 4.0}, None)
    values = np.array([[0, 1, 0, 2], [8, 3, -2, 4], [0, 5, 0, 6]], dtype=np.float32)
    times = np.arange(3, dtype=np.int64)
    contributions, reconstruction = scorer.contributions_and_reconstruction(values, times)
    # valve: 8 / 4 usual departures, door: 2, in the present row only
    of_two = 100 * np.log1p(2**2 / 199)
    expected = [[0, 1, 0, 2], [of_two, 3, of_two, 4], [0, 5, 0, 6]]
    np.testing.assert_allclose(contributions, expected, rtol=1e-6)
    assert reconstruction.tolist() == [[0, 0.5, 0, 1], [0, 1.5, 0, 2], [0, 2.5, 0, 3]]
    np.testing.assert_array_equal(scorer.contributions(values, times), contributions)
    np.testing.assert_allclose(scorer.scores(values), [3, 7 + 2 * of_two, 11], rtol=1e-6)


@given(
    departures=arrays(np.float32, (4, 3), elements=st.floats(width=32, allow_nan=False)),
    spread=st.floats(1, 1e6),
)
@example(departures=np.full((4, 3), 1e20, dtype=np.float32), spread=1.0)
def test_any_departure_has_a_finite_score_of_at_least_zero(departures: Float32Array, spread: float) -> None:
    values = np.hstack([np.ones((4, 1), dtype=np.float32), departures])
    scorer = RowScorer(Halves(1, 1), dict.fromkeys((1, 2, 3), spread))
    with np.errstate(all="raise", under="ignore"):
        contributions = scorer.contributions(values)
    assert np.isfinite(contributions.sum(axis=1)).all()
    order = np.argsort(np.abs(departures), axis=None)
    assert (np.diff(contributions[:, 1:].ravel()[order]) >= 0).all()  # a larger departure contributes no less
    assert (contributions[:, 1:] >= 0).all()
    assert (contributions[:, 0] == 1).all()


def test_only_the_network_sees_the_channels_that_vary() -> None:
    torch.manual_seed(0)
    model = TimeStampVAE(5, 2, (8, 4)).eval()
    values = make_values(30, seed=1)
    expected = RowScorer(model).contributions_and_reconstruction(values)
    wide = np.insert(values, [0, 3], 7.0, axis=1)  # before columns 0 and 3
    found = RowScorer(model, {0: 1.0, 4: 1.0}).contributions_and_reconstruction(wide)
    for outputs, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(outputs[:, [1, 2, 3, 5, 6]], wanted)
    np.testing.assert_allclose(found[0][:, [0, 4]], 100 * np.log1p(7**2 / 199), rtol=1e-6)
    np.testing.assert_array_equal(found[1][:, [0, 4]], 0)

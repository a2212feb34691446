import math
from pathlib import Path

import numpy as np
import pytest
import torch

from container_component_src.model import initialization
from container_component_src.model.initialization import initialize, sample_windows
from container_component_src.model.vae import TimeStampVAE
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter

CHANNELS, LATENT, SCALE = 6, 2, 0.01  # small values, for which asinh is the identity


def linear_rows(rows: int) -> torch.Tensor:
    """Return rows of a Gaussian with two strong directions."""
    random = np.random.default_rng(2)
    factors = random.standard_normal((rows, LATENT)) * [5.0, 3.0]
    values = factors @ random.standard_normal((LATENT, CHANNELS)) + 0.5 * random.standard_normal((rows, CHANNELS))
    return torch.from_numpy((SCALE * values).astype(np.float32))


def make_model(latent: int = LATENT, window_steps: int = 1) -> TimeStampVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return TimeStampVAE(CHANNELS, latent, (8, 4), variance_floor=1e-9, window_steps=window_steps)


def test_elbo_is_the_likelihood_of_a_linear_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initialization, "_NETWORK_SHARE", 0.0)
    rows, model = linear_rows(20_000), make_model()
    initialize(model, rows)
    elbo = model.negative_elbo(rows, 1.0, torch.Generator().manual_seed(1)).mean()
    log_determinant = np.linalg.slogdet(np.cov(rows.numpy().T)).logabsdet
    entropy = 0.5 * (CHANNELS * (1 + math.log(2 * math.pi)) + log_determinant)  # of the fitted Gaussian
    assert float(elbo.detach()) == pytest.approx(entropy, abs=0.1)


@pytest.mark.parametrize("window_steps", [1, 3])
def test_more_latents_than_values_are_left_at_the_prior(window_steps: int) -> None:
    values = CHANNELS * window_steps
    model = make_model(latent=values + 5, window_steps=window_steps)
    windows = linear_rows(40 * window_steps).view(40, values)
    initialize(model, windows)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert not model.decoder_bypass.weight[:, values:].any()


def write(folder: Path, values: np.ndarray, bounds: list[int]) -> Dataset:
    with DatasetWriter(str(folder), "time", tuple("abcdef")) as writer:
        for first, stop in zip([0, *bounds], [*bounds, len(values)], strict=True):
            writer.write(Frame(np.arange(first, stop) * 10**9, values[first:stop]))
        return writer.commit()


def test_sampled_rows_do_not_depend_on_the_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initialization, "SAMPLE_ROWS", 30)
    values = linear_rows(100).numpy()
    samples = [
        sample_windows(write(tmp_path / str(number), values, bounds), Windowing())
        for number, bounds in enumerate([[], [7, 8, 41]])
    ]
    np.testing.assert_array_equal(samples[0], values[::4])
    np.testing.assert_array_equal(samples[1], samples[0])


def test_sample_of_many_partitions_reads_some_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initialization, "SAMPLE_PARTITIONS", 2)
    values = linear_rows(9).numpy()
    sample = sample_windows(write(tmp_path / "data", values, [3, 6]), Windowing(2, 10**9))
    np.testing.assert_array_equal(sample[:, CHANNELS:], np.concatenate([values[:3], values[6:]]))
    np.testing.assert_array_equal(sample[3, :CHANNELS], values[6])

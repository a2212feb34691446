from pathlib import Path

import numpy as np
import pytest

from container_component_src.errors import InputError
from container_component_src.model import calibration
from container_component_src.model.calibration import channel_statistics, tail_quantile
from container_component_src.telemetry.dataset import Dataset
from tests.model.datasets import write_dataset


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
    assert tail_quantile(scores, 0.9999999) > scores.max()


def test_tail_of_a_bounded_distribution() -> None:
    assert 0.999 < tail_quantile(np.linspace(0, 1, 100_000), 0.99999) <= 1.0


@pytest.mark.parametrize(
    ("scores", "quantile", "message"),
    [
        (np.arange(1000.0), 0.98, "alarm quantile 0.98 is not above 0.98"),
        (np.arange(100.0), 0.99, "the tail has fewer than 10 different validation scores"),
        (np.ones(10_000), 0.99, "fewer than 10 different validation scores"),
    ],
)
def test_tail_that_cannot_be_fitted(scores: np.ndarray, quantile: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tail_quantile(scores, quantile)

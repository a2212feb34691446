from pathlib import Path

import numpy as np
import pytest

from container_component_src.model import statistics
from container_component_src.model.statistics import channel_statistics, usual_departures
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.distribution import Distribution
from tests.model.datasets import SECOND, make_values, with_constants, write_dataset


def test_channel_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.stack([np.arange(101), np.full(101, 3)], axis=1).astype(np.float32)
    dataset = Dataset.open(write_dataset(tmp_path / "data", values, channels=("ramp", "constant")))
    found = channel_statistics(dataset)
    assert found["ramp"].mean == pytest.approx(50)
    assert found["ramp"].std == pytest.approx(np.sqrt((101**2 - 1) / 12))
    assert found["ramp"].quantiles["0.25"] == pytest.approx(25)
    assert (found["constant"].std, found["constant"].quantiles["0.99"]) == (0, 3)
    monkeypatch.setattr(statistics, "STATISTICS_ROWS", 11)
    assert channel_statistics(dataset)["ramp"].quantiles["0.5"] == pytest.approx(50)


def test_distributions_of_channels_leave_out_imputed_values(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((1_000, 3)).astype(np.float32)
    values[::10, 0] = 0  # all missing
    values[::2, 1] = 0  # a few missing, the others are values
    with DatasetWriter(str(tmp_path), "normalizedTime", ("imputed", "often_zero", "whole")) as writer:
        writer.write(Frame(np.arange(1_000) * SECOND, values))
        dataset = writer.commit(missing={"imputed": 100, "often_zero": 3})
    found = {name: known.distribution for name, known in channel_statistics(dataset).items()}
    times, (imputed, often_zero, whole) = np.arange(1_000) * SECOND, values.T.astype(np.float64)
    known = imputed != 0
    assert found == {
        "imputed": Distribution.of(times[known], imputed[known], 0.1),
        "often_zero": Distribution.of(times, often_zero, 0.003),
        "whole": Distribution.of(times, whole),
    }


def test_usual_departures_are_root_mean_squares_of_at_least_one(tmp_path: Path) -> None:
    departures = np.zeros((4, 200))
    departures[1, :2] = 0.5, -0.5
    departures[2, :8] = 100, -100, 100, -100, 100, 100, 100, 100
    departures[3, :] = 1e30  # counts as a million
    assert usual_departures(with_constants(tmp_path / "val", departures)) == {
        "constant0": 1.0, "constant1": 1.0, "constant2": pytest.approx(20.0), "constant3": pytest.approx(1e6),
    }  # fmt: skip
    plain = Dataset.open(write_dataset(tmp_path / "plain", make_values(20, seed=1)))
    assert usual_departures(plain) == {}

from pathlib import Path

import numpy as np
import pytest

from container_component_src.model import calibration
from container_component_src.model.calibration import channel_statistics
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

"""`fit_scaler` and `scale_dataframes`: what they refuse, and what becomes of missing values."""

import json
from pathlib import Path

import numpy as np
import pytest

from container_component_src.steps.data import SETS
from container_component_src.telemetry.dataset import Dataset
from tests import data_steps
from tests.helpers import (
    Invoke,
    assert_nothing_written,
    assert_refused,
    telemetry,
    write_archive,
    write_dataset,
)


@pytest.mark.usefixtures("thread_backend")
def test_missing_and_constant_values_are_counted(invoke: Invoke, tmp_path: Path) -> None:
    gaps = np.arange(600, dtype=np.float64)
    gaps[[3, 5]], gaps[7], gaps[9], gaps[11] = np.nan, np.inf, -np.inf, 1e300  # the last is none in float32
    archive = write_archive(
        tmp_path / "2023.parquet", telemetry(gaps=gaps, still=7.5, absent=np.full(600, np.nan), nulls=[None, 1.0] * 300)
    )
    assert invoke(*data_steps.preprocess([archive], tmp_path / "dataset")).code == 0
    dataset = Dataset.open(str(tmp_path / "dataset"))
    assert dataset.channels == ("cabin_pressure", "fan_speed", "gaps", "still", "absent", "nulls")
    assert dataset.manifest.missing == {"gaps": 5, "absent": 600, "nulls": 300}
    assert np.isnan(dataset.load().values[[3, 5, 7, 9, 11], 2]).all()

    fitted = invoke(*data_steps.fit(tmp_path / "dataset", tmp_path / "scaler.json"))
    metadata = json.loads(fitted.stdout[fitted.stdout.index("{") :])["scaler"]
    assert metadata["constant_channels"] == ["still", "nulls"]  # all values of the second are 1.0
    assert metadata["absent_channels"] == ["absent"]
    assert invoke(*data_steps.scale(tmp_path / "scaler.json", [tmp_path / "dataset"] * 4, tmp_path)).code == 0
    scaled = Dataset.open(str(tmp_path / "scaled_train"))
    assert scaled.channels == ("cabin_pressure", "fan_speed", "gaps", "still", "nulls")
    assert scaled.manifest.missing == {"gaps": 5, "nulls": 300}
    values = scaled.load().values
    assert np.isfinite(values).all()
    assert (values[[3, 5, 7, 9, 11], 2] == 0).all()
    assert (values[:, 3:] == 0).all()


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
def test_only_constant_channels(kind: str, invoke: Invoke, tmp_path: Path) -> None:
    write_dataset(tmp_path / "train", np.array([[1.0, np.nan], [1.0, 2.0]]))
    outcome = invoke(*data_steps.fit(tmp_path / "train", tmp_path / "scaler.json", kind))
    assert_refused(outcome, tmp_path / "train", "every channel is constant")
    assert not (tmp_path / "scaler.json").exists()


@pytest.mark.parametrize(
    ("channels", "named"), [(("a",), "lacks 'b'"), (("a", "b", "c"), "it also has 'c'"), (("a", "x"), "lacks 'b'")]
)
def test_a_scaler_that_does_not_fit_the_data(
    channels: tuple[str, ...], named: str, invoke: Invoke, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).normal(size=(20, 3))
    write_dataset(tmp_path / "train", values[:, :2])
    assert invoke(*data_steps.fit(tmp_path / "train", tmp_path / "s.json")).code == 0
    write_dataset(tmp_path / "other", values[:, : len(channels)], channels)
    outcome = invoke(*data_steps.scale(tmp_path / "s.json", [tmp_path / "other"] * 4, tmp_path))
    assert_refused(outcome, tmp_path / "other", named)
    assert_nothing_written(*(tmp_path / f"scaled_{name}" for name in SETS))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "s.json"),
        ('{"type": "standard"}', "'channels' is missing"),
        # of an earlier version, whose constant channels are not known
        ('{"type": "standard", "channels": ["a"], "centre": [0], "scale": [1], "dropped": ["b"]}', "'dropped'"),
        ('{"type": "z", "channels": ["a"], "centre": [0], "scale": [1]}', "type"),
        ('{"type": "standard", "channels": ["a", "b"], "centre": [0], "scale": [1, 1]}', "centre"),
        ('{"type": "standard", "channels": ["a"], "centre": [0], "scale": [0]}', "scale"),
        ('{"type": "standard", "channels": ["a"], "centre": [0], "scale": [NaN]}', "scale"),
    ],
)
def test_a_file_that_is_no_scaler(content: str, named: str, invoke: Invoke, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", np.eye(2))
    (tmp_path / "s.json").write_text(content)
    outcome = invoke(*data_steps.scale(tmp_path / "s.json", [tmp_path / "data"] * 4, tmp_path))
    assert_refused(outcome, tmp_path / "s.json", "not a scaler", named)


def test_each_set_is_scaled_into_its_own_folder(invoke: Invoke, tmp_path: Path) -> None:
    sources = [tmp_path / name for name in SETS]
    for rows, source in enumerate(sources, start=10):
        write_dataset(source, np.random.default_rng(rows).normal(size=(rows, 2)))
    assert invoke(*data_steps.fit(sources[0], tmp_path / "scaler.json")).code == 0
    assert invoke(*data_steps.scale(tmp_path / "scaler.json", sources, tmp_path)).code == 0
    scaled = [Dataset.open(str(tmp_path / f"scaled_{name}")).manifest.rows for name in SETS]
    assert scaled == [10, 11, 12, 13]

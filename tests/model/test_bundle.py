import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.model.bundle import Bundle, build
from container_component_src.model.bundle_info import (
    Architecture,
    BundleInfo,
    ChannelStatistics,
    Epoch,
    Thresholds,
    TrainingSummary,
    open_info,
)
from container_component_src.steps.data import ScalerType
from container_component_src.steps.training import Hyperparameters
from container_component_src.telemetry.scaler import Scaler
from tests.model.datasets import CHANNELS, make_values


def make_bundle(scaler: Scaler | None = None) -> Bundle:
    torch.manual_seed(5)
    architecture = Architecture(latent_dim=2, hidden_dims=(8, 4), variance_floor=1e-3)
    summary = TrainingSummary(
        train_rows=100, val_rows=20, epochs=2, best_epoch=1, val_loss=3.5, nodes=1,
        history=(Epoch(epoch=0, train_loss=5.0, val_loss=4.0), Epoch(epoch=1, train_loss=4.0, val_loss=3.5)),
        hyperparameters=Hyperparameters(latent_dim=2, hidden_dims=(8, 4)),
    )  # fmt: skip
    info = BundleInfo(
        architecture=architecture,
        channels=CHANNELS,
        scaler=scaler,
        thresholds=Thresholds(
            score=9.5, method="quantile", quantile=0.99, smoothing_window=3, max_gap_ns=None, val_rows=20
        ),
        training=summary,
        channel_statistics={name: ChannelStatistics(mean=0, std=1, quantiles={"0.5": 0.1}) for name in CHANNELS},
        seed=5,
        versions={"torch": "2"},
    )
    return Bundle(info, build(architecture, len(CHANNELS)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_bundle().save(storage.resolve(str(tmp_path / "bundle")))
    return tmp_path / "bundle"


def test_round_trip(tmp_path: Path) -> None:
    scaler = Scaler(type=ScalerType.ROBUST, channels=CHANNELS, centre=(1.0,) * 5, scale=(2.0,) * 5, absent=("valve",))
    bundle = make_bundle(scaler)
    written = bundle.save(storage.resolve(str(tmp_path / "bundle")))
    loaded = Bundle.load(str(tmp_path / "bundle"))
    assert loaded.info == written == open_info(str(tmp_path / "bundle"))
    assert loaded.info == bundle.info.model_copy(update={"weights_sha256": written.weights_sha256}).with_version()
    assert not loaded.model.training
    values = make_values(40, seed=2)
    np.testing.assert_array_equal(loaded.scorer.scores(values), bundle.scorer.scores(values))
    assert {file.name for file in (tmp_path / "bundle").iterdir()} == {"bundle.json", "model.safetensors"}


def test_weights_of_another_model(folder: Path) -> None:
    other = make_bundle()
    other.model.get_parameter("log_variance").data += 1
    other.save(storage.resolve(str(folder.parent / "other")))
    (folder.parent / "other" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(InputError, match=r"model.safetensors: not the weights that .* \(SHA-256 differs\)"):
        Bundle.load(str(folder))


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    bundle = make_bundle()
    architecture = bundle.info.architecture.model_copy(update={"latent_dim": 3})
    Bundle(bundle.info.model_copy(update={"architecture": architecture}), bundle.model).save(
        storage.resolve(str(tmp_path))
    )
    with pytest.raises(InputError, match="do not fit the architecture"):
        Bundle.load(str(tmp_path))


def test_version_changes_with_the_description(tmp_path: Path) -> None:
    bundle = make_bundle()
    first = bundle.save(storage.resolve(str(tmp_path / "first")))
    thresholds = bundle.info.thresholds.model_copy(update={"score": 9.75})
    changed = Bundle(bundle.info.model_copy(update={"thresholds": thresholds}), bundle.model)
    second = changed.save(storage.resolve(str(tmp_path / "second")))
    assert first.weights_sha256 == second.weights_sha256
    assert first.version != second.version


def test_damaged_weights(folder: Path) -> None:
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match="SHA-256"):
        Bundle.load(str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "bundle.json"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        Bundle.load(str(folder))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"channels"', '"chanels"', "chanels"),
        ('"format_version": 3', '"format_version": 99', r"another format \(format 99, not 3\)"),
        ('"latent_dim": 2', '"latent_dim": 3', "bundle.json: changed after the training"),
        ("{", "", "damaged"),
    ],
)
def test_invalid_description(folder: Path, old: str, new: str, message: str) -> None:
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        Bundle.load(str(folder))


def test_a_bundle_from_before_the_options_takes_medians_and_refuses_missing_values(folder: Path) -> None:
    content = json.loads((folder / "bundle.json").read_text())
    del content["impute_missing"], content["version"], content["thresholds"]["smoothing"]
    version = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "bundle.json").write_text(json.dumps({**content, "version": version}))
    info = Bundle.load(str(folder)).info
    assert not info.impute_missing
    assert info.thresholds.smoother().push(np.arange(3), np.array([1.0, 9.0, 2.0])).tolist() == [1, 5, 2]


def test_a_model_without_scaler_has_no_centre_to_impute_with(folder: Path) -> None:
    info = open_info(str(folder)).model_copy(update={"impute_missing": True})
    (folder / "bundle.json").write_text(info.with_version().model_dump_json())
    with pytest.raises(InputError, match="impute_missing needs the centres of a scaler"):
        Bundle.load(str(folder))


@pytest.mark.parametrize("spreads", [{}, {"noise": 1.0}, {"pressure": 1.0, "humidity": 1.0}])
def test_spreads_of_other_channels_than_the_constant_ones(tmp_path: Path, spreads: dict[str, float]) -> None:
    ones = (1.0,) * len(CHANNELS)
    scaler = Scaler(type=ScalerType.ROBUST, channels=CHANNELS, centre=ones, scale=ones, constant=("pressure",))
    info = make_bundle().info
    thresholds = info.thresholds.model_copy(update={"constant_spreads": spreads})
    changed = info.model_copy(update={"scaler": scaler, "thresholds": thresholds}).with_version()
    (tmp_path / "bundle.json").write_text(changed.model_dump_json())
    with pytest.raises(InputError, match="constant_spreads does not have the constant channels of the scaler"):
        open_info(str(tmp_path))


def test_failed_save_leaves_no_valid_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle with new weights and an old description is damaged."""
    location = storage.resolve(str(tmp_path / "bundle"))
    make_bundle().save(location)
    other = make_bundle()
    other.model.get_parameter("log_variance").data += 1
    write = storage.Location.write_bytes

    def stop_at_the_description(self: storage.Location, content: bytes) -> None:
        if self.name == "bundle.json":
            raise OSError("disk full")
        write(self, content)

    monkeypatch.setattr(storage.Location, "write_bytes", stop_at_the_description)
    with pytest.raises(OSError, match="disk full"):
        other.save(location)
    with pytest.raises(InputError, match="SHA-256"):
        Bundle.load(location.uri)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (CHANNELS[:-1], "it lacks 'humidity'"),
        ((*CHANNELS, "noise"), "it also has 'noise'"),
        (("pressure", "heat", *CHANNELS[2:]), "it lacks 'temperature'"),
        (
            ("temperature", "pressure", *CHANNELS[2:]),
            "the model: channel 0 is 'temperature' instead of 'pressure'",
        ),
    ],
)
def test_other_channels(names: tuple[str, ...], message: str) -> None:
    bundle = make_bundle()
    bundle.check_channels(list(CHANNELS))
    with pytest.raises(InputError, match=message):
        bundle.check_channels(names)

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from container_component_src import storage
from container_component_src.alarms.rule import AlarmRule
from container_component_src.errors import InputError
from container_component_src.model import bundle, hardware
from container_component_src.model.bundle import Bundle, build
from container_component_src.model.bundle_info import (
    Architecture,
    BundleInfo,
    Calibration,
    ChannelStatistics,
    Epoch,
    TrainingSummary,
    open_info,
)
from container_component_src.steps.calibration import AlarmSettings
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
        calibration=Calibration(
            settings=AlarmSettings(),
            rule=AlarmRule(raise_above=9.5, clear_below=9.0),
            method="quantile",
            rows=20,
            false_alarms_per_day=None,
            days=0.0,
            highest_median=0.0,
            channel_nats=(1.0,) * len(CHANNELS),
            subsystems={"fan_*": "ventilation", "*": "atmosphere"},
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
    assert {file.name for file in (tmp_path / "bundle").iterdir()} == {
        *("bundle.json", "model.safetensors", "MODEL_CARD.md", "model_card.json")
    }


def test_many_rows_are_scored_by_the_best_device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "best_device", lambda: torch.device("meta"))
    monkeypatch.setattr(hardware, "useful_threads", lambda model, rows, device: 3)
    before = torch.get_num_threads()
    try:
        model = Bundle.load(str(folder)).for_many_rows().model
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert all(weight.is_meta for weight in model.parameters())


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


@pytest.mark.parametrize(
    "change",
    [
        {"rule": AlarmRule(raise_above=9.5, clear_below=9.25)},
        {"subsystems": {"*": "atmosphere", "fan_*": "ventilation"}},  # the first pattern that fits counts
    ],
    ids=["another rule", "another order of patterns"],
)
def test_version_changes_with_the_description(tmp_path: Path, change: dict[str, object]) -> None:
    bundle = make_bundle()
    first = bundle.save(storage.resolve(str(tmp_path / "first")))
    calibration = bundle.info.calibrated.model_copy(update=change)
    changed = Bundle(bundle.info.model_copy(update={"calibration": calibration}), bundle.model)
    second = changed.save(storage.resolve(str(tmp_path / "second")))
    assert open_info(str(tmp_path / "second")) == second
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
        ('"format_version": 4', '"format_version": 99', r"another format \(format 99, not 4\)"),
        ('"latent_dim": 2', '"latent_dim": 3', "bundle.json: changed after the training"),
        ("{", "", "damaged"),
    ],
)
def test_invalid_description(folder: Path, old: str, new: str, message: str) -> None:
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        Bundle.load(str(folder))


def test_a_bundle_of_an_older_format_is_refused_with_its_format(folder: Path) -> None:
    content = json.loads((folder / "bundle.json").read_text())
    del content["calibration"]
    (folder / "bundle.json").write_text(json.dumps({**content, "format_version": 3, "thresholds": {"score": 9.5}}))
    with pytest.raises(InputError, match=r"bundle.json: .* another format \(format 3, not 4\); train again"):
        open_info(str(folder))


def test_a_bundle_without_calibration_has_no_alarms(tmp_path: Path) -> None:
    bundle, folder = make_bundle(), tmp_path / "trained"
    Bundle(bundle.info.model_copy(update={"calibration": None}), bundle.model).save(storage.resolve(str(folder)))
    info = Bundle.load(str(folder)).info
    assert "threshold" not in info.metadata()
    refusal = "the model is not calibrated, so it has no alarm threshold; run calibrate on it"
    with pytest.raises(InputError, match=f"^{re.escape(str(folder))}: {refusal}"):
        Bundle.load_calibrated(str(folder))
    for ask in (lambda: info.calibrated, lambda: info.alarm_source, info.smoother):
        with pytest.raises(InputError, match=f"^{refusal}"):
            ask()


def test_a_calibrated_bundle_knows_its_rule(folder: Path) -> None:
    bundle = Bundle.load_calibrated(str(folder))
    assert bundle.info == open_info(str(folder))
    assert bundle.info.metadata()["threshold"] == bundle.info.alarm_source.rule.raise_above == 9.5
    assert list(bundle.info.alarm_source.subsystems) == ["fan_*", "*"]


def test_contributions_of_other_channels(folder: Path) -> None:
    info = open_info(str(folder))
    calibration = info.calibrated.model_copy(update={"channel_nats": (1.0, 2.0)})
    changed = info.model_copy(update={"calibration": calibration}).with_version()
    (folder / "bundle.json").write_text(changed.model_dump_json())
    with pytest.raises(InputError, match="channel_nats does not have one value per channel"):
        open_info(str(folder))


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
    changed = info.model_copy(update={"scaler": scaler, "constant_spreads": spreads}).with_version()
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

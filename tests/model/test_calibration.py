"""Tests of the calibration of a trained model."""

from pathlib import Path

import numpy as np
import pytest

from container_component_src import storage
from container_component_src.alarms.calibration import calibrate_rule
from container_component_src.errors import InputError
from container_component_src.model import training
from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.model.calibration import calibrate
from container_component_src.model.statistics import max_gap, usual_departures
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.calibration import AlarmSettings, Calibrate, Smoothing
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.distribution import Distribution
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.smoothing import Smoother
from tests.model.datasets import CHANNELS, SECOND, make_values, with_constants, write_dataset
from tests.model.test_bundle import make_bundle

ROWS = 400
SETTINGS = {"smoothing": Smoothing.MEAN, "smoothing_window": 3, "alarm_quantile": 0.95, "clear_fraction": 0.9}


def trained(folder: Path, scaler: Scaler | None = None, **changes: object) -> Path:
    """Write a bundle without calibration."""
    bundle = make_bundle(scaler)
    info = bundle.info.model_copy(update={"calibration": None, "max_gap_ns": 5 * SECOND, **changes})
    Bundle(info, bundle.model).save(storage.resolve(str(folder)))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return trained(tmp_path / "trained")


@pytest.fixture
def data(tmp_path: Path) -> str:
    return write_dataset(tmp_path / "data", make_values(ROWS, seed=3))


def calibrated(bundle: Path | str, data: str, target: Path | str, **options: object) -> BundleInfo:
    paths = {"bundle_path": str(bundle), "calibration_df_path": data, "calibrated_model_path": str(target)}
    return calibrate(Calibrate.model_validate({**SETTINGS, **paths, **options}), str(target))


def test_the_rule_is_that_of_the_smoothed_scores_of_the_calibration_set(
    bundle: Path, data: str, tmp_path: Path
) -> None:
    info = calibrated(bundle, data, tmp_path / "calibrated", subsystems={"fan*": "ventilation", "*": "rest"})
    loaded, times = Bundle.load_calibrated(str(tmp_path / "calibrated")), SECOND * np.arange(ROWS, dtype=np.int64)
    assert loaded.info == info
    parts = loaded.scorer.contributions(make_values(ROWS, seed=3), times)
    smoothed = Smoother(Smoothing.MEAN, 3, 5 * SECOND).push(times, parts.sum(axis=1))
    settings = AlarmSettings.model_validate(SETTINGS)
    assert info.calibrated.scores == Distribution.of(times, smoothed)
    found, wanted = info.calibrated, calibrate_rule(times, smoothed, settings, 5 * SECOND)
    assert found.rule.raise_above == pytest.approx(wanted.rule.raise_above, rel=1e-5)
    assert found.rule.clear_below == pytest.approx(wanted.rule.clear_below, rel=1e-5)
    assert (found.method, found.settings, found.rows) == (wanted.method, settings, ROWS)
    assert found.days == wanted.days
    assert found.highest_median == pytest.approx(wanted.highest_median, rel=1e-5)
    assert found.channel_nats == pytest.approx(parts.mean(axis=0), rel=1e-5)
    assert list(found.subsystems) == ["fan*", "*"]
    assert info.smoother().push(times, parts.sum(axis=1)).tolist() == smoothed.tolist()


def test_another_calibration_is_another_version_of_the_same_weights(
    bundle: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "fit", None)  # nothing is trained
    changes: list[dict[str, object]] = [
        {},
        {"alarm_quantile": 0.97},
        {"clear_fraction": 0.5},
        {"smoothing_window": 5},
        {"smoothing": "median"},
        {"subsystems": {"*": "rest"}},
    ]
    infos = [calibrated(bundle, data, tmp_path / f"{number}", **change) for number, change in enumerate(changes)]
    assert len({info.version for info in infos}) == len(changes)
    weights = {(tmp_path / f"{number}" / "model.safetensors").read_bytes() for number in range(len(changes))}
    assert weights == {(bundle / "model.safetensors").read_bytes()}
    assert all(info.training == Bundle.load(str(bundle)).info.training for info in infos)
    again = calibrated(tmp_path / "3", data, tmp_path / "again")  # of a bundle that is calibrated already
    assert again == infos[0]


def test_a_bundle_is_calibrated_in_its_own_folder(bundle: Path, data: str, tmp_path: Path) -> None:
    elsewhere = calibrated(bundle, data, tmp_path / "calibrated")
    assert calibrated(bundle, data, bundle) == elsewhere == Bundle.load_calibrated(str(bundle)).info


def test_servers_impute_missing_values_if_the_calibration_says_so(tmp_path: Path) -> None:
    ones = (1.0,) * len(CHANNELS)
    scaler = Scaler(type=ScalerType.STANDARD, channels=CHANNELS, centre=ones, scale=ones)
    data = write_dataset(tmp_path / "data", make_values(ROWS, seed=3), scaler=scaler)
    bundle = trained(tmp_path / "trained", scaler)
    assert calibrated(bundle, data, tmp_path / "first", impute_missing=True).impute_missing
    assert not calibrated(tmp_path / "first", data, tmp_path / "second").impute_missing


def test_without_a_scaler_there_is_no_centre_to_impute_with(bundle: Path, data: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trained: trained on values without scaling, .*--impute-missing false"):
        calibrated(bundle, data, tmp_path / "calibrated", impute_missing=True)
    assert not (tmp_path / "calibrated").exists()


def test_few_rows_are_no_reason_to_fail(bundle: Path, tmp_path: Path) -> None:
    for rows in (1, 2, 60):
        data = write_dataset(tmp_path / f"rows{rows}", make_values(rows, seed=1))
        settings = {"threshold_method": "peaks_over_threshold", "alarm_quantile": 0.99, "smoothing": "none"}
        found = calibrated(bundle, data, tmp_path / "calibrated", **settings)
        assert (found.calibrated.rows, found.smoother().window) == (rows, 1)
        assert "quantile" in found.calibrated.method


def test_a_constant_channel_that_moves_in_normal_operation_does_not_hide_all_else(tmp_path: Path) -> None:
    """Otherwise the threshold would be 500,000 nats."""
    moving = np.zeros((1, 200))
    moving[0, 100:140] = 1000
    infos = []
    for name, values in (("still", 0 * moving), ("moving", moving)):
        data = with_constants(tmp_path / name, values)
        model = TimeStampVAE(len(CHANNELS), 2, (8, 4)).eval()
        for parameter in model.parameters():
            parameter.data.zero_()
        facts = {
            "channels": data.channels,
            "scaler": data.manifest.scaler,
            "constant_spreads": usual_departures(data),
            "max_gap_ns": max_gap(data),
            "calibration": None,
        }
        Bundle(make_bundle().info.model_copy(update=facts), model).save(storage.resolve(str(tmp_path / "bundle")))
        infos.append(calibrated(tmp_path / "bundle", data.location.uri, tmp_path / "calibrated", smoothing="none"))
    still, moved = (info.calibrated for info in infos)
    assert infos[0].constant_spreads == {"constant0": 1.0}
    assert still.channel_nats[0] == 0
    assert 0 < moved.channel_nats[0] < 0.5
    assert still.rule.raise_above <= moved.rule.raise_above < still.rule.raise_above + 5


def test_data_without_a_score_is_refused(bundle: Path, tmp_path: Path) -> None:
    values = make_values(ROWS, seed=3)
    values[7, 2] = np.nan
    data = write_dataset(tmp_path / "data", values)
    with pytest.raises(InputError, match=r"data: the model gives no finite score for .*'fan_speed' is nan"):
        calibrated(bundle, data, tmp_path / "calibrated")
    assert not (tmp_path / "calibrated").exists()


def test_data_that_does_not_fit_the_model_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other", make_values(5, 1, channels=4), channels=CHANNELS[:4])
    with pytest.raises(InputError, match="it lacks 'humidity'"):
        calibrated(bundle, other, tmp_path / "calibrated")
    ones = (1.0,) * len(CHANNELS)
    scaler = Scaler(type=ScalerType.STANDARD, channels=CHANNELS, centre=ones, scale=ones)
    scaled = write_dataset(tmp_path / "scaled", make_values(5, 1), scaler=scaler)
    with pytest.raises(InputError, match="scaled: scaled differently from the model's training data"):
        calibrated(bundle, scaled, tmp_path / "calibrated")

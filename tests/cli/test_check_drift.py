"""`check_drift` from telemetry to files and exit codes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from container_component_src import storage
from container_component_src.drift.result import DriftReport
from container_component_src.example_data import ExampleDataSpec, generate
from container_component_src.model.bundle import Bundle, build
from container_component_src.model.calibration import calibrate
from container_component_src.model.statistics import channel_statistics
from container_component_src.steps.calibration import Calibrate
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.scaling import fit_scaler, scale_datasets
from tests.drift.cases import autoregressive, engineering, info_with_references, times
from tests.helpers import TIME, Invoke, assert_nothing_written, assert_refused, nanoseconds
from tests.serving.bundles import CHANNELS, bundle_info, make_bundle


def write_bundle(folder: Path) -> Path:
    """Write a bundle that knows how telemetry as in `tests.drift.cases` is distributed, but not its scores."""
    bundle = make_bundle(folder)
    statistics = info_with_references().channel_statistics
    Bundle(bundle.info.model_copy(update={"channel_statistics": statistics}), bundle.model).save(
        storage.resolve(str(folder))
    )
    return folder


def write_telemetry(path: Path, offset: float = 0.0) -> Path:
    scaled = autoregressive(4_000, len(CHANNELS), seed=2)
    scaled[2_000:, 2] += offset
    frame = pd.DataFrame(engineering(scaled), columns=list(CHANNELS))
    frame[TIME] = pd.to_datetime(times(4_000), utc=True)
    frame.to_parquet(path)
    return path


def test_the_exit_code_says_whether_a_limit_is_exceeded(invoke: Invoke, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    report, page = tmp_path / "drift.json", tmp_path / "drift.html"
    options = ("--bundle", bundle, "--output", report, "--page", page)
    normal, shifted = write_telemetry(tmp_path / "normal"), write_telemetry(tmp_path / "shifted", offset=3.0)
    fine = invoke("check_drift", *options, "--input", normal)
    assert (fine.code, DriftReport.read(str(report)).exceeded) == (0, False)
    assert "no limit exceeded, 0 channels have drifted" in fine.stdout
    found = invoke("check_drift", *options, "--input", shifted)
    assert (found.code, DriftReport.read(str(report)).exceeded) == (3, True)
    assert "1 of 3 channels have drifted: fan_speed" in found.stdout
    assert "fan_speed" in page.read_text(encoding="utf-8")
    assert invoke("check_drift", *options, "--input", shifted, "--max-drifted-channels", 1).code == 0
    before = invoke("check_drift", *options, "--input", shifted, "--until", "2023-11-16T09:20")
    assert (before.code, DriftReport.read(str(report)).rows) == (0, 2_000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--since", "today"), "'today' is not a time in ISO 8601"),
        (("--since", "2024-01-02", "--until", "2024-01-01"), "--since 2024-01-02 is not before --until 2024-01-01"),
        (("--since", "2024-01-02", "--hours", "3"), "--since and --hours exclude each other"),
        (("--since", "2024-01-01"), "there are no rows to check for drift"),
        (("--alpha", "0"), "--alpha"),
    ],
)
def test_wrong_options_are_refused(options: tuple[str, ...], message: str, invoke: Invoke, tmp_path: Path) -> None:
    bundle, telemetry = write_bundle(tmp_path / "bundle"), write_telemetry(tmp_path / "normal")
    target = tmp_path / "drift.json"
    outcome = invoke("check_drift", "--bundle", bundle, "--input", telemetry, "--output", target, *options)
    assert_refused(outcome, message)
    assert_nothing_written(target)


def test_a_bundle_that_was_trained_before_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    outcome = invoke("check_drift", "--bundle", tmp_path / "bundle", "--input", write_telemetry(tmp_path / "normal"))
    assert_refused(outcome, "does not know how channel 'cabin_pressure' was distributed", "train again")


@dataclass(frozen=True)
class Example:
    """Archives of the example data, and a calibrated bundle of which they are the training data."""

    archives: tuple[Path, ...]
    bundle: Path


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    folder = tmp_path_factory.mktemp("example")
    archives = tuple(generate(folder, ExampleDataSpec(rows=20_000, channels=14, anomalies=0)).archives)
    table = pd.concat([pd.read_parquet(archive) for archive in archives])
    names = tuple(name for name in table.columns if table[name].dtype.kind == "f")
    train, scaled = folder / "train", folder / "scaled"
    with DatasetWriter(str(train), TIME, names) as writer:
        timestamps = pd.DatetimeIndex(table[TIME]).as_unit("ns").astype("int64").to_numpy()
        writer.write(Frame(timestamps, table[list(names)].to_numpy(dtype=np.float32)))
        dataset = writer.commit()
    scaler = fit_scaler(str(train), ScalerType.STANDARD)
    known = channel_statistics(scale_datasets({"train": dataset}, scaler, {"train": str(scaled)})["train"])
    info = bundle_info().model_copy(
        update={"channels": scaler.channels, "scaler": scaler, "channel_statistics": known, "calibration": None}
    )
    Bundle(info, build(info.architecture, len(names)).eval()).save(storage.resolve(str(folder / "trained")))
    bundle = folder / "bundle"
    calibrate(
        Calibrate(
            bundle_path=str(folder / "trained"), calibration_df_path=str(scaled), calibrated_model_path=str(bundle)
        ),
        str(bundle),
    )
    return Example(archives, bundle)


def test_a_drift_in_the_second_half_of_the_example_is_found_and_the_first_half_has_none(
    example: Example, invoke: Invoke, tmp_path: Path
) -> None:
    first, second = example.archives
    shifted = {"ECLSS_PPOS1_O2_PARTIAL_PRESS_HPA", "ECLSS_CABIN_TEMP_1_DEGC"}
    frame = pd.read_parquet(second)
    for name in shifted:
        frame[name] += 3 * frame[name].std()
    both = tmp_path / "telemetry"
    both.mkdir()
    shutil.copy(first, both)
    frame.to_parquet(both / second.name)
    target = tmp_path / "drift.json"
    options = ("--bundle", example.bundle, "--output", target, "--input")

    assert invoke("check_drift", *options, first).code == 0
    report = DriftReport.read(str(target))
    assert (report.exceeded, dict(report.drifted)) == (False, {})
    assert report.scores is not None

    assert invoke("check_drift", *options, both).code == 3
    report = DriftReport.read(str(target))
    assert {*report.drifted} == shifted
    middle, day = nanoseconds("2023-01-01"), 86_400 * 10**9
    for found in report.drifted.values():
        assert found.since == pytest.approx(middle, abs=4 * day)

"""From archive to scaled data: rows, values and labels do not depend on the files."""

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.dask_preprocessor.preprocessor import preprocess
from container_component_src.steps.data import SETS, ReportColumns, ScalerType, SplitRule
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.labels import label_dataset
from container_component_src.telemetry.partitioning import split_archive
from container_component_src.telemetry.scaling import fit_scaler, scale_datasets
from container_component_src.telemetry.split import split_dataset
from container_component_src.telemetry.verdicts import Feedback, Verdict, write_feedback
from tests.data_steps import list_archives, split
from tests.helpers import TIME, Invoke, assert_refused, report, telemetry, write_archive, write_reports

RULE = SplitRule(window_hours=0.5, block_hours=0.1, val_fraction=0.3, calibration_fraction=0.2, seed=11)


def _more_channels(rows: int = 400) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    rests = np.where(rng.uniform(size=rows) < 0.8, 2.5, rng.normal(size=rows))
    gaps = np.where(rng.uniform(size=rows) < 0.1, np.nan, rng.normal(50, 9, rows))
    return {"rests": rests, "gaps": gaps, "still": 1.0}


@dataclass(frozen=True)
class Files:
    """How 400 rows lie in files."""

    cuts: list[int] = field(default_factory=list)  # rows at which the archives are cut
    row_group_size: int = 400
    per_file: int = 1  # row groups
    copy: bool = False  # whether the split copies the rows


def _run(folder: Path, client: Client, kind: ScalerType, fraction: float, files: Files) -> dict[str, Frame]:
    """Return scaled sets of 400 rows."""
    frame = telemetry(rows=400).assign(**_more_channels())
    splits = []
    bounds = [0, *sorted({*files.cuts}), len(frame)]
    for index, (first, last) in enumerate(pairwise(bounds)):
        archive = write_archive(folder / f"{index}.parquet", frame.iloc[first:last], files.row_group_size)
        split = split_archive(str(archive), str(folder / f"split{index}"), TIME, rowgroups_per_file=files.per_file)
        splits.append(split.location.uri)
    dataset = preprocess(splits, str(folder / "dataset"), TIME, fraction, "", client).location.uri
    reports = str(write_reports(folder / "reports.csv", report((150, 170), (300, 301))))
    labels = label_dataset(dataset, reports, str(folder / "labels"), ReportColumns()).location.uri
    parts = split_dataset(dataset, labels, {name: str(folder / name) for name in SETS}, RULE, files.copy)
    scaler = fit_scaler(parts["train"].location.uri, kind)
    assert scaler.constant == ("still",)
    scaled = scale_datasets(parts, scaler, {name: str(folder / f"scaled_{name}") for name in parts})
    return {name: dataset.load() for name, dataset in scaled.items()}


@given(
    kind=st.sampled_from(ScalerType),
    fraction=st.sampled_from([0.6, 1.0]),
    files=st.builds(
        Files,
        cuts=st.lists(st.integers(1, 399), max_size=3),
        row_group_size=st.integers(20, 400),
        per_file=st.integers(1, 6),
        copy=st.booleans(),
    ),
)
def test_results_do_not_depend_on_the_files(
    kind: ScalerType,
    fraction: float,
    files: Files,
    dask_client: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    expected = _run(tmp_path_factory.mktemp("whole"), dask_client, kind, fraction, Files())
    found = _run(tmp_path_factory.mktemp("cut"), dask_client, kind, fraction, files)
    for name in SETS:
        np.testing.assert_array_equal(found[name].timestamps, expected[name].timestamps)
        tolerance = 0.0 if kind == ScalerType.MINMAX else 1e-6  # the others sum partition by partition
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=tolerance, atol=tolerance)
    assert sum(map(len, found.values())) == 400 if fraction == 1 else 200 < sum(map(len, found.values())) < 280
    assert found["test"].labels is not None
    assert expected["test"].labels is not None
    np.testing.assert_array_equal(found["test"].labels, expected["test"].labels)


def test_excluded_channels_are_in_no_later_dataset(invoke: Invoke, dask_client: Client, tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((6, 9)))
    archive = write_archive(tmp_path / "archives" / "2023.parquet", telemetry(rows=20, sample_counter=range(20)))
    exclude = ("--exclude-channels", '["sample_*"]')
    outcome = invoke(*list_archives(tmp_path / "archives", reports), *exclude)
    assert '"sample_counter": "excluded by exclude_channels"' in outcome.stdout
    assert_refused(invoke(*list_archives(tmp_path / "archives", reports), *exclude[:1], '["sample"]'), "'sample'")
    assert invoke(*split(archive, tmp_path / "split"), *exclude).code == 0
    dataset = preprocess([str(tmp_path / "split")], str(tmp_path / "dataset"), TIME, 1.0, "", dask_client)
    assert dataset.channels == ("cabin_pressure", "fan_speed")
    assert dataset.manifest.left_out["sample_counter"] == "excluded by exclude_channels"


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_listing_names_archives_and_left_out_columns(suffix: str, invoke: Invoke, tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "archives" / "reports.csv", report((60, 90)))  # beside the archives
    for year in ("2022", "2023"):
        frame = telemetry(rows=20, start=f"{year}-01-01").drop(columns="mode")
        file = tmp_path / "archives" / f"{year}{suffix}"
        frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
    outcome = invoke(*list_archives(tmp_path / "archives", reports))
    assert outcome.code == 0, outcome
    published = json.loads(outcome.stdout[outcome.stdout.index("{\n") :])
    assert [Path(item["uri"]).name for item in published["archives"]] == [f"2022{suffix}", f"2023{suffix}"]
    assert all({*item} == {"uri", "fingerprint"} for item in published["archives"])
    assert published["left_out_columns"] == {"status": "text"}
    assert published["reports_fingerprint"]
    assert published["feedback_fingerprint"] == ""


def test_a_changed_table_of_verdicts_has_another_fingerprint(invoke: Invoke, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    reports = write_reports(tmp_path / "reports.csv", report((60, 90)))
    archives.mkdir()
    telemetry(rows=20).to_csv(archives / "2023.csv", index=False)
    table = archives / "feedback.csv"  # beside the archives

    def fingerprint(*feedback: Feedback) -> str:
        write_feedback(str(table), feedback)
        outcome = invoke(*list_archives(archives, reports), "--feedback-path", table)
        assert outcome.code == 0, outcome
        published = json.loads(outcome.stdout[outcome.stdout.index("{\n") :])
        assert [Path(item["uri"]).name for item in published["archives"]] == ["2023.csv"]
        return str(published["feedback_fingerprint"])

    verdict = Feedback(alarm_id="A", start=0, end=1, verdict=Verdict.TRUE, at=2)
    empty, filled = fingerprint(), fingerprint(verdict)
    assert "" != empty != filled
    table.unlink()
    assert_refused(invoke(*list_archives(archives, reports), "--feedback-path", table), f"{table}: no such file")

"""`list_archives`: what it publishes, for archives of each format."""

import json
from pathlib import Path

import pytest

from tests import data_steps
from tests.helpers import Invoke, assert_refused, report, telemetry, write_archive, write_reports


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_archives_and_left_out_columns(suffix: str, invoke: Invoke, tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "archives" / "reports.csv", report((60, 90)))  # beside the archives
    for year in ("2022", "2023"):
        frame = telemetry(rows=20, start=f"{year}-01-01").drop(columns="mode")
        file = tmp_path / "archives" / f"{year}{suffix}"
        frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
    outcome = invoke(*data_steps.list_archives(tmp_path / "archives", reports))
    assert outcome.code == 0, outcome
    published = json.loads(outcome.stdout[outcome.stdout.index("{\n") :])
    assert [Path(item["uri"]).name for item in published["archives"]] == [f"2022{suffix}", f"2023{suffix}"]
    assert all({*item} == {"uri", "fingerprint"} for item in published["archives"])
    assert published["left_out_columns"] == {"status": "text"}
    assert published["reports_fingerprint"]


def test_mixed_formats(invoke: Invoke, tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((60, 90)))
    write_archive(tmp_path / "archives" / "2023.parquet")
    telemetry(rows=20).to_csv(tmp_path / "archives" / "2022.csv", index=False)
    outcome = invoke(*data_steps.list_archives(tmp_path / "archives", reports))
    assert_refused(outcome, tmp_path / "archives", "different formats (2022.csv and 2023.parquet)")

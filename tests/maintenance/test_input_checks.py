from pathlib import Path
from urllib.parse import urlsplit

import pytest

from container_component_src.maintenance.input_checks import Inputs, check_endpoint, check_inputs
from container_component_src.telemetry.verdicts import Feedback, Verdict, write_feedback
from tests.helpers import REPORT_HEADERS, report, write_archive, write_reports
from tests.s3_front import always, s3_front


@pytest.fixture
def environment(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"S3_ENDPOINT": store, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_store_with_the_data() -> None:
    checks = {check.name: check for check in check_inputs(Inputs("", "s3://doctor/reports.csv"))}
    assert list(checks) == ["S3 endpoint", "bucket doctor", "reports"]
    assert all(check.ok for check in checks.values()), checks
    assert checks["S3 endpoint"].detail.endswith("no TLS")
    assert checks["bucket doctor"].detail == "1 entries"
    assert checks["reports"].detail == "1 reported anomalies"


@pytest.mark.usefixtures("environment")
def test_missing_bucket_is_named_and_its_data_not_checked() -> None:
    endpoint, bucket = check_inputs(Inputs("s3://nowhere/archives", ""))
    assert endpoint.ok
    assert (bucket.name, bucket.ok) == ("bucket nowhere", False)


def test_unreachable_endpoint_is_the_only_check(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{free_port}")
    (check,) = check_inputs(Inputs("s3://data/archives", "s3://data/reports.csv"))
    assert (check.name, check.ok) == ("S3 endpoint", False)
    assert "S3_ENDPOINT" in check.fix


@pytest.mark.slow
def test_refused_key_and_failing_store(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "3600")  # which checks do not wait for
    with s3_front() as front:
        monkeypatch.setenv("S3_ENDPOINT", f"http://{front.address}")
        front.answer = always(403, "AccessDenied")
        _, check = check_inputs(Inputs(f"{bucket}/archives", ""))
        assert not check.ok
        assert f"http://{front.address} refuses access key ID key" in check.detail
        assert check.fix.startswith("check AWS_ACCESS_KEY_ID")
        front.answer = always(503, "SlowDown")
        _, check = check_inputs(Inputs(f"{bucket}/archives", ""))
        assert f"http://{front.address} fails (SlowDown: no)" in check.detail


def test_security_of_an_endpoint_is_reported(store: str) -> None:
    address = urlsplit(store).netloc
    assert check_endpoint(f"https://{address}", True).detail.endswith(", TLS, verified")
    assert "not verified" in check_endpoint(f"https://{address}", False).detail
    assert not check_endpoint("http://127.0.0.1:99999", True).ok


def test_invalid_settings_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_VERIFY_SSL", "perhaps")
    (check,) = check_inputs(Inputs("s3://data/archives", ""))
    assert (check.name, check.ok, check.fix) == ("S3 settings", False, "set it to one of them")


def test_left_out_columns_are_named(tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((0, 60)))
    write_archive(tmp_path / "2023.parquet")
    archives, _ = check_inputs(Inputs(str(tmp_path), str(reports)))
    assert archives.detail == "1 archives; columns left out: 'mode' (text), 'status' (text)"


def test_local_inputs(tmp_path: Path) -> None:
    headers = [header.replace("TITLE", "NAME") for header in REPORT_HEADERS]
    table = write_reports(tmp_path / "reports.csv", report((0, 60)), headers)
    archives, reports = check_inputs(Inputs(str(tmp_path), str(table)))
    assert not archives.ok
    assert "no archives" in archives.detail
    assert not reports.ok
    assert "no column 'TITLE'" in reports.detail
    assert reports.fix
    assert check_inputs(Inputs()) == []


def test_verdicts_are_counted_and_a_bad_row_is_named(tmp_path: Path) -> None:
    table = tmp_path / "feedback.csv"
    write_feedback(str(table), [Feedback(alarm_id="A", start=0, end=1, verdict=Verdict.TRUE, at=2)])
    (check,) = check_inputs(Inputs(feedback_path=str(table)))
    assert (check.name, check.ok, check.detail) == ("feedback", True, "1 verdicts on alarms")
    table.write_text(table.read_text().replace(",true,", ",perhaps,"))
    (check,) = check_inputs(Inputs(feedback_path=str(table)))
    assert not check.ok
    assert "row 2: key 'verdict'" in check.detail

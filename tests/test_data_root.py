import json
from pathlib import Path

import pytest

from container_component_src import storage
from container_component_src.data_root import (
    ROOT_MARKER,
    RUN_MARKER,
    WRITE_PROBE,
    begin_run,
    is_marked,
    place,
    run_folders,
)
from container_component_src.errors import InputError, PipelineError
from tests.data_steps import list_archives
from tests.helpers import Invoke, assert_refused, report, write_archive, write_reports

RUN = {"PIPELINE_RUN_ID": "run-1"}


def test_outputs_are_below_the_run_or_at_the_assigned_uri() -> None:
    given = "minio://mlpipeline/v2/artifacts/run/labels"
    assert place(given, "", "step", "labels", environment={}) == given
    for root in ("s3://bucket/runs", "minio://bucket/runs/", "s3://bucket/runs/"):
        assert place(given, root, "step", "labels", environment=RUN) == "s3://bucket/runs/run-1/step/labels"
    assert place(given, "/data/runs", "step", "labels", environment=RUN) == "/data/runs/run-1/step/labels"


@pytest.mark.parametrize(
    ("data_root", "environment", "message"),
    [
        ("s3://bucket/runs", {}, "set PIPELINE_RUN_ID"),
        ("s3://bucket/runs", {"PIPELINE_RUN_ID": "../other"}, "run id '../other'"),
        ("gs://bucket/runs", RUN, "unknown scheme"),
        ("s3://", RUN, "no bucket is named"),
    ],
)
def test_invalid_data_root_or_run_id(data_root: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        place("given", data_root, "step", "labels", environment=environment)


def test_run_marks_the_data_root_once_and_its_own_folder(bucket: str) -> None:
    uri = f"{bucket}/runs"
    root = storage.resolve(uri)
    (root / WRITE_PROBE).write_bytes(b"")  # remains without permission to delete
    begin_run(uri, "profile", RUN)
    first = (root / ROOT_MARKER).read_bytes()
    begin_run(uri, "", {"PIPELINE_RUN_ID": "run-2"})
    begin_run(uri, "profile", RUN)  # a retry
    (root / "notes.txt").write_bytes(b"somebody's")
    (root / "copied" / RUN_MARKER).write_bytes((root / "run-1" / RUN_MARKER).read_bytes())
    (root / "damaged" / RUN_MARKER).write_bytes(b"{")
    assert (root / ROOT_MARKER).read_bytes() == first
    found = {folder.location.name: folder.marker.namespace for folder in run_folders(root)}
    assert found == {"run-1": "profile", "run-2": ""}


def test_folder_with_other_files(bucket: str) -> None:
    (storage.resolve(bucket) / "telemetry" / "2022.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"it has other files \(telemetry\)"):
        begin_run(bucket, "", RUN)
    foreign = storage.resolve(f"{bucket}/foreign")
    (foreign / ROOT_MARKER).write_bytes(json.dumps({"project": "other", "created": "2026-01-01T00:00:00Z"}).encode())
    with pytest.raises(InputError, match="the data root of other"):
        is_marked(foreign)
    (foreign / ROOT_MARKER).write_bytes(b"?")
    with pytest.raises(InputError, match="not the marker of a data root"):
        is_marked(foreign)


@pytest.mark.usefixtures("bucket")
def test_absent_bucket_is_named() -> None:
    with pytest.raises(PipelineError, match=r"data_root cannot be written: .*no bucket 'absent-bucket'"):
        begin_run("s3://absent-bucket/runs", "", RUN)


def test_first_step_rejects_an_invalid_data_root(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_RUN_ID", "run-1")
    monkeypatch.setenv("PIPELINE_POD_NAMESPACE", "profile")
    archive = write_archive(tmp_path / "telemetry" / "2022.parquet")
    step = list_archives(archive.parent, write_reports(tmp_path / "reports.csv", report((1, 2))))
    assert_refused(invoke(*step, "--data-root", tmp_path), f"{tmp_path}: not a data root yet")
    refused = invoke(*step, "--data-root", tmp_path / "runs", "--backend", "kubernetes")
    assert_refused(refused, "pods cannot reach this machine's files")
    assert invoke(*step, "--data-root", tmp_path / "runs").code == 0
    assert (tmp_path / "runs" / "run-1" / RUN_MARKER).is_file()

"""The data steps with all inputs and outputs in a bucket."""

import json
from typing import Any

import numpy as np
import pytest

from container_component_src import storage
from container_component_src.data_root import run_folders
from container_component_src.steps.data import SETS
from container_component_src.telemetry.dataset import Dataset
from tests import data_steps
from tests.helpers import Invoke, assert_refused, report, telemetry, write_archive, write_reports
from tests.s3_front import always, s3_front, without_delete

pytestmark = pytest.mark.slow  # many of these tests start processes or wait


def _upload(local: Any, uri: str) -> str:
    storage.resolve(uri).write_bytes(local.read_bytes())
    return uri


def _outputs(invoke: Invoke, *command: object) -> Any:
    outcome = invoke(*command)
    assert outcome.code == 0, outcome
    return json.loads(outcome.stdout[outcome.stdout.index("{\n") :])


@pytest.mark.usefixtures("thread_backend")
def test_from_listing_to_scaling(bucket: str, invoke: Invoke, tmp_path: Any) -> None:
    first = telemetry(rows=600)
    second = telemetry(rows=600, seed=1, start="2023-01-01 12:00")
    for name, frame in (("2022", first), ("2023", second)):
        _upload(write_archive(tmp_path / "archive.parquet", frame), f"{bucket}/raw/{name}.parquet")
    reports = _upload(
        write_reports(tmp_path / "reports.xlsx", report((300, 330), (800, 810))), f"{bucket}/reports.xlsx"
    )
    # KFP uses the other two forms of the same URIs.
    minio, slash = bucket.replace("s3://", "minio://"), bucket.replace("s3://", "/minio/")

    listed = _outputs(invoke, *data_steps.list_archives(f"{minio}/raw", reports))
    uris = [archive["uri"] for archive in listed["archives"]]
    assert uris == [f"{bucket}/raw/2022.parquet", f"{bucket}/raw/2023.parquet"]
    split = [
        _outputs(invoke, *data_steps.split(uri, f"{slash}/split/{index}"))["partitions_uri"]
        for index, uri in enumerate(uris)
    ]
    assert split == [f"{bucket}/split/0", f"{bucket}/split/1"]
    dataset = _outputs(invoke, *data_steps.preprocess(split, f"{minio}/dataset"))["dataset_uri"]
    labels = _outputs(invoke, *data_steps.label(dataset, reports, f"{bucket}/labels"))["labels_uri"]
    parts = _outputs(invoke, *data_steps.three_way(dataset, labels, bucket), "--window-hours", 1, "--block-hours", 0.2)
    assert sum(parts[name]["rows"] for name in SETS) == 1200
    _outputs(invoke, *data_steps.fit(parts["train_uri"], f"{bucket}/scaler.json"))
    sources = [parts[f"{name}_uri"] for name in SETS]
    scaled = _outputs(invoke, *data_steps.scale(f"{minio}/scaler.json", sources, slash))
    for name in SETS:
        rows = Dataset.open(scaled[f"scaled_{name}_uri"]).load()
        assert len(rows) == parts[name]["rows"]
        assert np.isfinite(rows.values).all()
    assert [event.id for event in Dataset.open(scaled["scaled_test_uri"]).manifest.events] == ["AR-1", "AR-2"]


@pytest.mark.usefixtures("thread_backend")
def test_all_datasets_are_below_the_run_in_a_data_root(
    bucket: str, invoke: Invoke, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_RUN_ID", "run-1")
    root, elsewhere = f"{bucket}/runs", "minio://mlpipeline/of-the-launcher"  # a bucket that does not exist
    below = ("--data-root", root)
    archive = _upload(write_archive(tmp_path / "archive.parquet", telemetry(rows=600)), f"{bucket}/raw/2022.parquet")
    reports = _upload(write_reports(tmp_path / "reports.csv", report((300, 330))), f"{bucket}/reports.csv")

    _outputs(invoke, *data_steps.list_archives(archive, reports), *below)
    split = _outputs(invoke, *data_steps.split(archive, elsewhere), *below)["partitions_uri"]
    dataset = _outputs(invoke, *data_steps.preprocess([split], elsewhere), *below)["dataset_uri"]
    labels = _outputs(invoke, *data_steps.label(dataset, reports, elsewhere), *below)["labels_uri"]
    hours = ("--window-hours", 1, "--block-hours", 0.2)
    parts = _outputs(invoke, *data_steps.three_way(dataset, labels, elsewhere), *hours, *below)
    _outputs(invoke, *data_steps.fit(parts["train_uri"], tmp_path / "scaler.json"))
    sources = [parts[f"{name}_uri"] for name in SETS]
    scaled = _outputs(invoke, *data_steps.scale(tmp_path / "scaler.json", sources, elsewhere), *below)

    run = f"{root}/run-1"
    assert split == f"{run}/split_parquet_file/2022"
    assert dataset == f"{run}/run_dask_preprocessing/dataset"
    assert labels == f"{run}/label_telemetry/labels"
    for name in SETS:
        assert parts[f"{name}_uri"] == f"{run}/create_train_val_test_split/{name}"
        assert scaled[f"scaled_{name}_uri"] == f"{run}/scale_dataframes/scaled_{name}"
    (folder,) = run_folders(storage.resolve(root))
    assert folder.marker.run_id == "run-1"

    # The output of a cached step may have been deleted.
    storage.resolve(dataset).remove()
    outcome = invoke(*data_steps.label(dataset, reports, elsewhere), *below)
    assert_refused(outcome, f"{dataset}: no such dataset", "if it was deleted", "--no-cache")


def test_failed_step_leaves_no_objects(bucket: str, invoke: Invoke, tmp_path: Any) -> None:
    frame = telemetry()
    frame.loc[450, "normalizedTime"] = frame.loc[440, "normalizedTime"]
    archive = _upload(write_archive(tmp_path / "archive.parquet", frame), f"{bucket}/raw/bad.parquet")
    outcome = invoke(*data_steps.split(archive, f"{bucket}/split"))
    assert_refused(outcome, archive, "row 450")
    assert not storage.resolve(f"{bucket}/split").exists()


def test_missing_bucket_or_object(bucket: str, invoke: Invoke, tmp_path: Any) -> None:
    outcome = invoke(*data_steps.split(f"{bucket}/absent.parquet", tmp_path / "split"))
    assert_refused(outcome, f"{bucket}/absent.parquet: no such file")
    outcome = invoke(*data_steps.split(write_archive(tmp_path / "a.parquet"), "s3://no-such-bucket/split"))
    assert_refused(outcome, "s3://no-such-bucket/split: no bucket 'no-such-bucket'", "create the bucket")


def test_exit_code(bucket: str, invoke: Invoke, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 if an input or a setting is wrong, 1 if the store is unavailable."""
    archive = _upload(write_archive(tmp_path / "a.parquet"), f"{bucket}/a.parquet")
    monkeypatch.setenv("S3_RETRY_SECONDS", "0.3")
    with s3_front() as front:
        monkeypatch.setenv("S3_ENDPOINT", f"http://{front.address}")
        assert_refused(invoke(*data_steps.split(f"{bucket}/b.parquet", tmp_path / "out")), "no such file")
        front.answer = always(403, "AccessDenied")
        assert_refused(
            invoke(*data_steps.split(archive, tmp_path / "out")), archive, front.address, "access key ID key"
        )
        front.answer = always(503, "SlowDown")
        assert_refused(
            invoke(*data_steps.split(archive, tmp_path / "out")), archive, front.address, "fails (503", code=1
        )
    assert_refused(invoke(*data_steps.split(archive, tmp_path / "out")), archive, front.address, "not answer", code=1)


def test_listing_does_not_wait_for_an_unavailable_store(
    bucket: str, invoke: Invoke, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the first step: if the store is unavailable, its address is probably wrong."""
    monkeypatch.setenv("S3_RETRY_SECONDS", "3600")
    reports = write_reports(tmp_path / "reports.csv", report((300, 330)))
    with s3_front() as front:
        monkeypatch.setenv("S3_ENDPOINT", f"http://{front.address}")
        front.answer = always(503, "SlowDown")
        assert_refused(invoke(*data_steps.list_archives(f"{bucket}/raw", reports)), front.address, "SlowDown", code=1)


@pytest.mark.usefixtures("thread_backend")
def test_no_step_needs_permission_to_delete(
    bucket: str, invoke: Invoke, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every output is written twice: first many small files, then fewer files with other rows in the same folder."""
    reports = _upload(write_reports(tmp_path / "reports.csv", report((300, 330))), f"{bucket}/reports.csv")
    with s3_front() as front:
        monkeypatch.setenv("S3_ENDPOINT", f"http://{front.address}")
        front.answer = without_delete
        for rows, size in ((1200, 100), (600, 300)):
            archive = _upload(
                write_archive(tmp_path / "a.parquet", telemetry(rows=rows), row_group_size=size), f"{bucket}/a.parquet"
            )
            split = _outputs(invoke, *data_steps.split(archive, f"{bucket}/split"), "--rowgroups-per-file", 1)
            dataset = _outputs(invoke, *data_steps.preprocess([split["partitions_uri"]], f"{bucket}/dataset"))[
                "dataset_uri"
            ]
            labels = _outputs(invoke, *data_steps.label(dataset, reports, f"{bucket}/labels"))["labels_uri"]
            parts = _outputs(
                invoke, *data_steps.three_way(dataset, labels, bucket), "--window-hours", 1, "--block-hours", 0.2
            )
            _outputs(invoke, *data_steps.fit(parts["train_uri"], f"{bucket}/scaler.json"))
            sources = [parts[f"{name}_uri"] for name in SETS]
            scaled = _outputs(invoke, *data_steps.scale(f"{bucket}/scaler.json", sources, bucket))
            assert len(Dataset.open(dataset).load()) == rows
            assert sum(len(Dataset.open(scaled[f"scaled_{name}_uri"]).load()) for name in SETS) == rows
        assert len(Dataset.open(dataset).location.children()) == 1 + 12 + 2  # the manifest, and both attempts' files

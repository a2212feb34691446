"""Tests of `cleanup --data`: it deletes the folders of old runs, and keeps those that are read."""

import os
import time
from pathlib import Path

import pytest

from container_component_src import storage
from container_component_src.cluster.inference_services import PREVIOUS_ANNOTATION
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.data_root import RUN_MARKER, RunMarker, begin_run
from container_component_src.telemetry.manifest import Manifest
from container_component_src.telemetry.views import MANIFEST_NAME
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import Invoke, assert_refused

DAY = 86_400.0  # seconds
CLUSTER = ("--backend", "kubernetes", "--namespace", NAMESPACE)


def make_run(root: Path | str, run_id: str, namespace: str = "", days: float = 0) -> None:
    """Create the folder of a run with 1000 bytes of data, and below a local root make it some days old."""
    begin_run(str(root), "", {"PIPELINE_RUN_ID": run_id})
    folder = storage.resolve(str(root)) / run_id
    (folder / RUN_MARKER).write_bytes(RunMarker(run_id=run_id, namespace=namespace).model_dump_json().encode())
    (folder / "run_evaluation" / "scores" / "part-00000.parquet").write_bytes(bytes(1000))
    if days:
        for file in Path(folder.path).rglob("*"):
            os.utime(file, (time.time() - days * DAY,) * 2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def command(root: Path | str, *more: str, age: str = "30d") -> tuple[object, ...]:
    return ("cleanup", "--data", "--data-root", root, "--older-than", age, *more)


def test_only_old_local_runs_are_removed(root: Path, invoke: Invoke) -> None:
    make_run(root, "old", days=31)
    make_run(root, "new", days=29)
    make_run(root, "of-a-cluster", "profile", days=31)
    (root / "notes").mkdir()
    (root / "notes" / "text").touch()
    os.utime(root / "notes" / "text", (0, 0))
    outcome = invoke(*command(root, "--dry-run"))
    assert outcome.stdout.startswith("kept run of-a-cluster: ")
    assert "would remove run old: 1.0" in outcome.stdout
    assert (root / "old").is_dir()
    outcome = invoke(*command(root))
    assert "--backend kubernetes --namespace profile" in outcome.stdout
    assert "removed run old: 1.0" in outcome.stdout
    assert {path.name for path in root.iterdir()} == {"_data_root.json", "new", "notes", "of-a-cluster"}
    assert "removed" not in invoke(*command(root)).stdout


def test_a_run_whose_dataset_is_viewed_by_a_run_that_stays_is_kept(root: Path, invoke: Invoke) -> None:
    for run_id, days in (("a", 40), ("b", 35), ("c", 35), ("d", 1)):
        make_run(root, run_id, days=days)
    for run_id, source in (("c", "b"), ("d", "a")):  # c is removed itself
        view = root / run_id / "create_train_val_test_split" / "train" / MANIFEST_NAME
        view.parent.mkdir(parents=True)
        uri = str(root / source / "run_dask_preprocessing" / "dataset")
        view.write_text(Manifest(timestamp_col="t", channels=(), partitions=(), source=uri).model_dump_json())
        days = 35 if run_id == "c" else 1
        os.utime(view, (time.time() - days * DAY,) * 2)
    lines = invoke(*command(root)).stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["kept run a", "removed run b", "removed run c"]
    assert lines[0].endswith("run d reads it")


def test_new_file_keeps_an_old_run(root: Path, invoke: Invoke) -> None:
    make_run(root, "long", days=31)
    (root / "long" / "run_pytorchjob").mkdir()
    (root / "long" / "run_pytorchjob" / "bundle.json").touch()
    assert invoke(*command(root)).stdout == f"no older runs below {root}\n"


def test_interrupted_deletion_is_completed(root: Path, invoke: Invoke) -> None:
    make_run(root, "old", days=31)
    for child in (root / "old").iterdir():
        if child.name != RUN_MARKER:
            storage.resolve(str(child)).remove()
    assert "removed run old" in invoke(*command(root)).stdout
    assert not (root / "old").exists()


def test_data_that_a_service_or_pod_reads_is_kept(root: Path, emulator: Emulator, invoke: Invoke) -> None:
    for run_id in ("served", "previous", "formerly-served", "in-use", "running", "ended", "old"):
        make_run(root, run_id, NAMESPACE, days=31)

    def containers(run_id: str) -> list[dict[str, object]]:
        arguments = ["serve_predictor", "--model-dir", f"{root}/{run_id}/run_pytorchjob/model"]
        return [{"name": "kserve-container", "image": "image", "args": arguments}]

    def pod(name: str, run_id: str, phase: str, labels: dict[str, str] | None = None) -> None:
        manifest = {"apiVersion": "v1", "metadata": {"name": name, "labels": labels or {}}}
        emulator.put("Pod", {**manifest, "spec": {"containers": containers(run_id)}, "status": {"phase": phase}})

    previous = {PREVIOUS_ANNOTATION: f"{root}/previous/calibrate/calibrated_model"}
    metadata = {"name": "eclss", "labels": {}, "annotations": previous}
    service = {"apiVersion": INFERENCE_SERVICE.api_version, "metadata": metadata}
    emulator.put(INFERENCE_SERVICE.name, {**service, "spec": {"predictor": {"containers": containers("served")}}})
    pod("old-revision", "formerly-served", "Running")
    pod("trial", "in-use", "Pending")
    pod("launcher", "another", "Running", {"pipeline/runid": "running"})
    pod("trial-of-before", "ended", "Succeeded", {"pipeline/runid": "ended"})
    outcome = invoke(*command(root, *CLUSTER))
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = {line.split(":")[0]: line for line in outcome.stdout.splitlines()}
    assert set(lines) == {
        *("kept run served", "kept run previous", "kept run formerly-served", "kept run in-use", "kept run running"),
        *("removed run ended", "removed run old"),
    }
    assert lines["kept run served"].endswith("InferenceService eclss reads it")
    assert lines["kept run running"].endswith("pod launcher reads it")


@pytest.mark.parametrize("kind", ["inferenceservices", "pods"])
def test_nothing_is_deleted_if_the_cluster_does_not_answer(
    root: Path, kind: str, emulator: Emulator, invoke: Invoke
) -> None:
    make_run(root, "old", days=31)
    emulator.fail("GET", f"/{kind}$", 403, times=9)
    assert_refused(invoke(*command(root, *CLUSTER)), "not allowed to list", code=1)
    assert (root / "old").is_dir()


def test_missing_kserve_is_no_problem(root: Path, emulator: Emulator, invoke: Invoke) -> None:
    make_run(root, "old", days=31)
    emulator.fail("GET", "/inferenceservices$", 404, times=9)
    assert "kept run old" in invoke(*command(root, *CLUSTER)).stdout  # because it is data of a local run
    assert "removed run old" in invoke(*command(root)).stdout


def test_runs_in_a_bucket(bucket: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"{bucket}/runs"
    make_run(uri, "a-run")
    assert invoke(*command(uri, age="1h")).stdout == f"no older runs below {uri}\n"
    assert "removed run a-run: 1.0" in invoke(*command(uri, age="0h")).stdout
    assert not storage.resolve(f"{uri}/a-run").exists()

    make_run(uri, "a-run")

    def refuse(self: storage.Location) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(storage.Location, "remove", refuse)
    assert_refused(invoke(*command(uri, age="0h")), f"{uri}/a-run: not deleted", "keys that may delete", code=1)


def test_conflicting_options_are_refused(root: Path, invoke: Invoke) -> None:
    assert_refused(invoke("cleanup", "--data"), "--data needs --data-root and --older-than")
    assert_refused(invoke("cleanup", "--run-id", "run", "--dry-run"), "are for --data")
    assert_refused(invoke(*command(root, age="a month")), "'a month'", "give a number of hours, days or weeks")
    assert_refused(invoke(*command(root)), "not a data root of this project")

from collections.abc import Callable
from pathlib import Path

import pytest

from container_component_src.data_root import WRITE_PROBE
from container_component_src.maintenance.checks import Check
from container_component_src.maintenance.store_checks import check_writing
from container_component_src.storage import Location
from tests.cluster.emulator import Emulator
from tests.helpers import Invoke, assert_refused
from tests.maintenance.clusters import COMMAND


def refuse(_: Location) -> None:
    raise PermissionError("Access Denied")


def ignore(_: Location) -> None:
    """Do nothing, like s3fs if the store refuses to delete some of many objects."""


def test_writable_folder(tmp_path: Path) -> None:
    check = check_writing(str(tmp_path / "runs"))
    assert check.ok
    assert check.detail.endswith("Put, Get and List work; Delete works too")
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("remove", [refuse, ignore])
def test_right_to_delete_is_optional(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remove: Callable[[Location], None]
) -> None:
    monkeypatch.setattr(Location, "remove", remove)
    for _ in range(2):
        check = check_writing(str(tmp_path))
        assert check.ok
        assert "Delete does not, and is not needed" in check.detail
    assert [path.name for path in tmp_path.iterdir()] == [WRITE_PROBE]


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = check_writing(str(tmp_path / "file"))
    assert not check.ok
    assert "a folder of this path is a file" in check.detail


def test_written_file_must_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Location, "children", lambda _: [])
    assert not check_writing(str(tmp_path)).ok


def test_artifact_store_and_data_store_are_reported(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert invoke(*COMMAND).code == 0
    assert found["store of Kubeflow Pipelines"].detail.startswith("minio://mlpipeline/private-artifacts/ns/")
    assert found["your own store"].detail == "s3://doctor/runs: datasets, with the keys of Secret s3creds"
    assert found["data root"].detail == "s3://doctor/runs: Put, Get and List work; Delete works too"


def test_without_a_data_root_the_artifact_store_is_written_to(
    ready: Emulator, invoke: Invoke, found: dict[str, Check]
) -> None:
    """The keys of the Secret must work there too."""
    assert_refused(invoke(*COMMAND, "--data-root", ""), "checks failed: data root", code=1)
    assert found["data root"].detail.startswith("s3://mlpipeline/private-artifacts/ns/v2/artifacts/")
    assert "[paths] data_root" in found["data root"].fix
    assert found["your own store"].state == "warning"
    assert "[paths] data_root" in found["your own store"].fix


@pytest.mark.parametrize("status", [403, 404])
def test_unreadable_launcher_configuration_is_a_warning(
    ready: Emulator, invoke: Invoke, found: dict[str, Check], status: int
) -> None:
    ready.fail("GET", "/configmaps/kfp-launcher$", status)
    assert invoke(*COMMAND).code == 0
    assert found["store of Kubeflow Pipelines"].state == "warning"

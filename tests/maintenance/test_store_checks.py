from collections.abc import Callable
from pathlib import Path

import pytest

from container_component_src.data_root import WRITE_PROBE
from container_component_src.maintenance.store_checks import check_writing
from container_component_src.storage import Location


def refuse(_: Location) -> None:
    raise PermissionError("Access Denied")


def pass_over(_: Location) -> None:
    """As s3fs does where the store refuses some of many objects."""


def test_writable_folder(tmp_path: Path) -> None:
    check = check_writing(str(tmp_path / "runs"))
    assert check.ok
    assert check.detail.endswith("Put, Get and List work; Delete works too")
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("remove", [refuse, pass_over])
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
    assert "Put, Get and List" in check.fix


def test_written_file_must_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Location, "children", lambda _: [])
    assert not check_writing(str(tmp_path)).ok

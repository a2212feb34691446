from pathlib import Path

import pytest

from container_component_src.errors import InputError
from container_component_src.scratch import scratch_directories, scratch_directory


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_scratch_directory_is_named_after_the_run_and_removed(tmp_path: Path) -> None:
    with scratch_directory({"PIPELINE_RUN_ID": "run-7"}) as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
        assert scratch_directories("run-7") == [folder]
    assert not folder.exists()


def test_manual_run_has_a_scratch_directory() -> None:
    with scratch_directory({}) as folder:
        assert scratch_directories("manual") == [folder]


def test_directories_of_other_runs_and_other_files_are_not_found(tmp_path: Path) -> None:
    with scratch_directory({"PIPELINE_RUN_ID": "a-b"}):
        (tmp_path / "eclss-a-notes.txt").mkdir()
        (tmp_path / "eclss-a-12345678").touch()
        (tmp_path / "eclss-a-abcdefgh").symlink_to(tmp_path)
        assert scratch_directories("a") == []


@pytest.mark.parametrize("run_id", ["", ".", "../x", "a/b", "*", "a b", "a\n"])
def test_run_id_must_be_valid_in_a_file_name(run_id: str) -> None:
    with pytest.raises(InputError, match="run id"):
        scratch_directories(run_id)

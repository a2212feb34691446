import sys
from pathlib import Path

import pytest

from tests.programs import program


@pytest.fixture
def folder_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tests.programs.SYSTEM_PROGRAMS", str(tmp_path))
    return tmp_path


def test_a_program_is_found(folder_on_path: Path) -> None:
    (folder_on_path / "broker").symlink_to(sys.executable)

    assert program("broker") == folder_on_path / "broker"


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_program_skips_the_test_but_fails_it_in_ci(
    ci: str, outcome: type[BaseException], folder_on_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="is not installed"):
        program("broker")

"""What a compiled pipeline says it was compiled from."""

import subprocess
from pathlib import Path

import pytest

from container_component_src.settings import Settings
from pipeline.origin import origin_of

SETTINGS = Settings.model_validate(
    {"paths": {"archives": "a", "reports": "r.csv"}, "report": {"title": "Loop"}, "image": {"tag": "1.0"}}
)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a configuration."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "config.toml").write_text("1")
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    git(root, "tag", "v1")  # is not what the commit is called
    return root


def test_commit_and_uncommitted_changes_are_told(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD").strip()
    (checkout / "notes").write_text("untracked")
    assert origin_of(SETTINGS, checkout / "config.toml", checkout, local=True).commit == commit
    (checkout / "config.toml").write_text("2")
    assert origin_of(SETTINGS, checkout / "config.toml", checkout, local=True).commit == f"{commit}-dirty"
    assert origin_of(SETTINGS, checkout / "config.toml", checkout.parent, local=True).commit == ""


def test_the_configuration_is_told_without_paths_of_this_machine_unless_it_runs_here(checkout: Path) -> None:
    own = checkout.parent / "own.toml"
    told = [
        origin_of(SETTINGS, path, checkout, local=local)
        for path in (checkout / "config.toml", own)
        for local in (True, False)
    ]
    assert [origin.config for origin in told] == ["config.toml", "config.toml", str(own), "own.toml"]
    assert {origin.title for origin in told} == {"Loop"}


def test_the_image_is_told_if_steps_run_in_it(checkout: Path) -> None:
    assert origin_of(SETTINGS, checkout / "config.toml", checkout, local=True).image == ""
    for local in (True, False):
        origin = origin_of(SETTINGS, checkout / "config.toml", checkout, local=local, containers=local)
        assert origin.image == "columbus-eclss-ad:1.0"

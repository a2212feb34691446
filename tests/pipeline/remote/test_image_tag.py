import subprocess
from pathlib import Path

import pytest

from pipeline.remote.image_tag import IMAGE_SOURCES, resolve_image_tag

ROOT = Path(__file__).resolve().parents[3]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone whose commit is pushed."""
    git(tmp_path, "init", "--bare", "remote")
    git(tmp_path, "clone", "remote", "checkout")
    checkout = tmp_path / "checkout"
    (checkout / "container_component_src").mkdir()
    for name in ("container_component_src/file", "README.md"):
        (checkout / name).write_text("1")
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "one")
    git(checkout, "push", "origin", "HEAD")
    return checkout


def test_named_tag_takes_precedence(checkout: Path) -> None:
    assert resolve_image_tag("1.0", {"IMAGE_TAG": "2.0"}, "latest", checkout).tag == "1.0"
    assert resolve_image_tag("", {"IMAGE_TAG": "2.0"}, "latest", checkout).tag == "2.0"


def test_default_tag_is_the_commit_hash_as_in_ci(checkout: Path) -> None:
    image = resolve_image_tag("", {"IMAGE_TAG": ""}, "latest", checkout)
    assert image.tag == git(checkout, "rev-parse", "HEAD")[:8]
    assert image.chosen
    assert image.warnings == ()


@pytest.mark.parametrize("name", ["container_component_src/file", "container_component_src/new", "Dockerfile"])
def test_uncommitted_changes_and_unpushed_commits_give_warnings(name: str, checkout: Path) -> None:
    (checkout / name).write_text("2")
    (dirty,) = resolve_image_tag("", {}, "latest", checkout).warnings
    assert f"uncommitted changes ({name})" in dirty
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "two")
    (unpushed,) = resolve_image_tag("", {}, "latest", checkout).warnings
    assert "not pushed" in unpushed


@pytest.mark.parametrize("name", ["README.md", "my.toml", "file"])
def test_changes_that_no_image_contains_give_no_warning(name: str, checkout: Path) -> None:
    (checkout / name).write_text("2")
    assert resolve_image_tag("", {}, "latest", checkout).warnings == ()


def test_the_image_copies_what_the_warning_looks_at() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == set(IMAGE_SOURCES)


def test_configured_tag_is_used_outside_of_a_checkout(tmp_path: Path) -> None:
    image = resolve_image_tag("", {}, "latest", tmp_path)
    assert (image.tag, image.chosen) == ("latest", False)

"""The declared dependencies, the lock and the files that pip installs from say the same."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]
PYPROJECT = tomli.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK_TEXT = (PROJECT / "poetry.lock").read_text(encoding="utf-8")
LOCK = tomli.loads(LOCK_TEXT)
FILES = {
    "main": PROJECT / "requirements.txt",
    "submit": PROJECT / "requirements-submit.txt",
    "dev": PROJECT / "tests" / "requirements.txt",
}
TORCH = PROJECT / "requirements-torch.txt"
CUDA = ("nvidia-", "cuda-", "triton")  # torch's CUDA build pins these itself, and its CPU build needs none

Pins = set[tuple[str, str]]


def _entries(group: str) -> list[tuple[str, set[str]]]:
    """Return the requirements of a group, each with the hashes of its files."""
    texts = [FILES[group].read_text(encoding="utf-8"), TORCH.read_text(encoding="utf-8") if group == "main" else ""]
    entries = re.split(r"\n(?=\S)", "\n".join(texts).strip())
    return [(entry.split(" \\\n")[0], set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", entry))) for entry in entries]


def _pinned(group: str) -> Pins:
    lines = [line for line, _ in _entries(group)]
    requirements = [Requirement(line) for line in lines]
    pins: Pins = {(canonicalize_name(item.name), str(item.specifier).removeprefix("==")) for item in requirements}
    assert all(str(item.specifier).startswith("==") and item.url is None for item in requirements)
    assert len(pins) == len(lines)
    return pins


def _locked(group: str) -> Pins:
    packages: list[dict[str, Any]] = LOCK["package"]
    return {
        (canonicalize_name(item["name"]), item["version"])
        for item in packages
        if group in item["groups"] and not item["name"].startswith(CUDA)
    }


def test_the_lock_is_that_of_the_declared_dependencies() -> None:
    # As poetry computes it for a project that declares nothing under [tool.poetry].
    assert set(PYPROJECT["tool"]["poetry"]) == {"package-mode"}
    keys = ("requires-python", "dependencies", "optional-dependencies")
    relevant = {
        "project": {key: PYPROJECT["project"][key] for key in keys if key in PYPROJECT["project"]},
        "dependency-groups": PYPROJECT["dependency-groups"],
        "tool": {"poetry": {}},
    }
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
    assert LOCK["metadata"]["content-hash"] == digest, "run `make lock`"


@pytest.mark.parametrize("group", FILES)
def test_requirements_are_exported_from_the_lock(group: str) -> None:
    assert _pinned(group) == _locked(group), "run `make lock`"


@pytest.mark.parametrize("group", FILES)
def test_requirements_have_the_hashes_of_the_lock(group: str) -> None:
    locked = {
        (canonicalize_name(item["name"]), item["version"]): {file["hash"] for file in item["files"]}
        for item in LOCK["package"]
    }
    for line, hashes in _entries(group):
        requirement = Requirement(line)
        name, version = canonicalize_name(requirement.name), str(requirement.specifier).removeprefix("==")
        # The builds of torch for a CPU and for CUDA have one version and different hashes.
        assert hashes == (set() if name == "torch" else locked[name, version]), name


@pytest.mark.parametrize("file", [".github/workflows/ci.yml", ".gitlab-ci.yml", "Dockerfile"])
def test_images_and_actions_are_pinned_to_what_cannot_change(file: str) -> None:
    text = (PROJECT / file).read_text(encoding="utf-8")
    actions = re.findall(r"uses: *(.*)", text)
    stages = re.findall(r"^FROM .* AS (\w+)$", text, re.MULTILINE)
    named = re.findall(r"^ *(?:image:|ARG BASE_IMAGE=|FROM) *([^$\s]+)", text, re.MULTILINE)
    images = [image for image in named if image not in stages]
    assert len(actions) + len(images) >= 1
    assert [
        action for action in actions if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    ] == []
    assert [image for image in images if not re.fullmatch(r"[\w./:-]+@sha256:[0-9a-f]{64}", image)] == []


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("cuda", "-r requirements-torch.txt"),
        ("cpu", "--no-deps --index-url https://index -r torch-cpu.txt"),
        ("rocm", "TORCH is 'rocm'; give cpu or cuda"),
    ],
)
def test_the_image_has_the_build_of_torch_that_is_asked_for(build: str, expected: str, tmp_path: Path) -> None:
    """The CPU build has a version of its own, so that no index can give another build instead."""
    found = re.search(r'case "\$TORCH" in.*?esac', (PROJECT / "Dockerfile").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    (tmp_path / TORCH.name).write_text(TORCH.read_text(encoding="utf-8"), encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "TORCH": build, "TORCH_CPU_INDEX": "https://index"}
    command = ["sh", "-c", found[0].replace("\\\n", "") + ' && echo "$@"']
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, (done.stdout or done.stderr).strip()) == (int(build == "rocm"), expected)
    if build == "cpu":
        (locked,) = (version for name, version in _pinned("main") if name == "torch")
        pinned = Requirement((tmp_path / "torch-cpu.txt").read_text(encoding="utf-8").strip())
        assert str(pinned.specifier) == f"=={locked}+cpu"
        assert pinned.marker == Requirement(TORCH.read_text(encoding="utf-8").strip()).marker


@pytest.mark.parametrize("file", [".github/workflows/ci.yml", ".gitlab-ci.yml"])
def test_both_images_are_built_and_checked(file: str) -> None:
    jobs = yaml.safe_load((PROJECT / file).read_text(encoding="utf-8"))
    if file == ".gitlab-ci.yml":
        built = {jobs[name]["variables"]["TORCH"] for name in ("container-image", "container-image-cpu")}
        images = {jobs[name]["variables"]["IMAGE"] for name in ("container-image", "container-image-cpu")}
        checked = {jobs[name]["image"].rpartition(":")[0] for name in ("image-check", "image-check-cpu")}
        assert checked == images
    else:
        job = jobs["jobs"]["container-image"]
        variants = job["strategy"]["matrix"]["include"]
        built, images = {each["torch"] for each in variants}, {each["name"] for each in variants}
        assert any("make check-image" in step.get("run", "") for step in job["steps"])
    assert built == {"cpu", "cuda"}
    assert len(images) == 2  # a variant never replaces the other


@pytest.mark.parametrize("group", FILES)
def test_every_declared_dependency_is_pinned_within_its_limits(group: str) -> None:
    declared = PYPROJECT["project"]["dependencies"] if group == "main" else PYPROJECT["dependency-groups"][group]
    pins = _pinned(group)
    for requirement in map(Requirement, declared):
        versions = [version for name, version in pins if name == canonicalize_name(requirement.name)]
        assert versions, requirement
        assert all(version in requirement.specifier for version in versions), (requirement, versions)


def test_submitting_needs_a_part_of_the_dependencies_at_the_same_versions() -> None:
    declared = {canonicalize_name(Requirement(text).name) for text in PYPROJECT["project"]["dependencies"]}
    assert {canonicalize_name(name) for name in PYPROJECT["dependency-groups"]["submit"]} <= declared
    assert _pinned("submit") < _pinned("main")
    assert not {"torch", "numpy", "pandas", "pyarrow"} & {name for name, _ in _pinned("submit")}


def test_no_address_stands_in_the_lock() -> None:
    assert not any("source" in item for item in LOCK["package"])
    for text in (LOCK_TEXT, *(path.read_text(encoding="utf-8") for path in (*FILES.values(), TORCH))):
        assert "://" not in text
    for path in FILES.values():  # neither an index nor any other option of pip
        assert not any(line.startswith("-") for line in path.read_text(encoding="utf-8").splitlines())

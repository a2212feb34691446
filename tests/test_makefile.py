"""Targets of the Makefile, with stand-ins for the container engines."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import tomli

PROJECT = Path(__file__).resolve().parents[1]
ENGINES = ("docker", "podman", "buildah")
ENGINE = """#!/bin/sh
if [ "$1" = info ]; then exit {code}; fi
echo "{name}" "$@" >> "$CALLS"
"""


def make(
    folder: Path, working: tuple[str, ...], *arguments: str, cwd: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run make where of the engines only some work; an engine that is installed may have no daemon."""
    for name in ENGINES:
        program = folder / name
        program.write_text(ENGINE.format(name=name, code=0 if name in working else 1))
        program.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment = {**inherited, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    command = ["make", "--no-print-directory", "--file", str(PROJECT / "Makefile"), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("working", "chosen"),
    [(ENGINES, "docker"), (("podman", "buildah"), "podman"), (("buildah",), "buildah")],
)
def test_an_image_is_built_by_the_first_engine_that_works(
    working: tuple[str, ...], chosen: str, tmp_path: Path
) -> None:
    given = ("IMAGE=registry/name", "TAG=1.0", "REVISION=abc", "BASE_IMAGE=base@sha256:1", "BUILD_OPTIONS=--layers")
    built = make(tmp_path, working, "image", *given)
    assert built.returncode == 0, built.stderr
    version = tomli.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    oci = "org.opencontainers.image"
    assert (tmp_path / "calls").read_text() == (
        f"{chosen} build --layers --build-arg BASE_IMAGE=base@sha256:1 --build-arg TORCH=cuda "
        f"--label {oci}.version={version} --label {oci}.revision=abc --label {oci}.base.name=base@sha256:1 "
        "--tag registry/name:1.0 --tag registry/name:latest .\n"
    )


def test_an_image_can_have_the_cpu_build_of_torch_from_an_index_of_your_own(tmp_path: Path) -> None:
    index = "https://mirror/whl/cpu"
    built = make(tmp_path, ENGINES, "image", "TORCH=cpu", f"TORCH_CPU_INDEX={index}")
    assert built.returncode == 0, built.stderr
    assert f"--build-arg TORCH=cpu --build-arg TORCH_CPU_INDEX={index} " in (tmp_path / "calls").read_text()


@pytest.mark.parametrize("target", ["image", "check-image"])
def test_without_an_engine_nothing_is_built(target: str, tmp_path: Path) -> None:
    failed = make(tmp_path, (), target)
    assert failed.returncode == 2
    assert "docker, podman or buildah not found; install one, or set ENGINE" in failed.stderr
    assert not (tmp_path / "calls").exists()


def test_buildah_runs_no_pipeline(tmp_path: Path) -> None:
    printed = make(tmp_path, ("buildah",), "--dry-run", "--assume-old=.venv/.run", "run-containers")
    assert printed.stdout.startswith('CONTAINER_ENGINE="" ')


def test_fast_tests_are_those_without_the_marker_slow(tmp_path: Path) -> None:
    printed = make(tmp_path, (), "--dry-run", "--assume-old=.venv/.test", "test-fast", "PROCESSES=3", "ARGS=-x")
    assert "--numprocesses 3" in printed.stdout
    assert printed.stdout.endswith('-m "not slow" -x\n')


@pytest.mark.parametrize(
    ("failing", "code", "last"),
    [("", 0, "check-jsonschema"), ("python", 2, "check-jsonschema"), ("ruff", 2, "ruff"), ("mypy", 2, "mypy")],
)
def test_lint_runs_beside_the_tests_and_a_failure_of_either_fails_the_target(
    failing: str, code: int, last: str, tmp_path: Path
) -> None:
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "ruff", "mypy", "lint-imports", "check-jsonschema"):
        program = programs / name
        program.write_text(f"#!/bin/sh\necho {name} ran\nexit {int(name == failing)}\n")
        program.chmod(0o755)
    for mark in (".run", ".test"):
        (programs.parent / mark).touch()
    done = make(tmp_path, (), "test", f"VENV={programs.parent}")
    assert done.returncode == code, done.stdout
    ran = re.findall(r"^(\S+) ran$", done.stdout, re.MULTILINE)
    assert (ran[0], ran[-1]) == ("python", last)  # what lint says comes after the tests


def test_help_lists_every_target_in_a_group(tmp_path: Path) -> None:
    _, *groups = make(tmp_path, (), "help").stdout.split("\n\n")
    assert [group.partition(":\n")[0] for group in groups] == ["Run", "Look", "Develop", "Image", "Cluster"]
    listed = re.findall(r"^  make ([a-z-]+) +\S", "\n".join(groups), re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):.*##", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(set(targets) - {"help"})


@pytest.mark.parametrize(("arguments", "kept"), [((), True), (("ALL=1",), False)])
def test_clean_keeps_results_unless_all_is_to_go(arguments: tuple[str, ...], kept: bool, tmp_path: Path) -> None:
    names = ("example", "outputs", "cache", "runs", "last_run", "containers")
    results = [tmp_path / "local_data" / name for name in names]
    own, venv = tmp_path / "local_data" / "own.parquet", tmp_path / ".venv"
    for folder in (*results, venv):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    own.touch()
    done = make(tmp_path, (), "clean", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [folder.exists() for folder in results] == [kept] * len(results)
    assert (own.exists(), venv.exists()) == (True, False)


PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""


def test_the_first_run_says_that_it_installs_and_how_long_it_took(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    for name in ("requirements.txt", "requirements-torch.txt"):
        (tmp_path / name).touch()
    arguments = (".venv/.run", f"PYTHON={python}")
    first, second = (make(tmp_path, (), *arguments, cwd=tmp_path) for _ in range(2))
    told = r"installing the libraries into \.venv, once: one to five minutes\ninstalled in \d+ s\n"
    assert re.fullmatch(told, first.stdout), first
    assert "installing" not in second.stdout


JUPYTER = """#!/bin/sh
echo "${0#$PWD/}" "$@" >> "$CALLS"
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/jupyter"; fi
"""


def test_jupyter_has_libraries_of_its_own_and_the_kernel_of_the_project(tmp_path: Path) -> None:
    for python in (tmp_path / "python3", tmp_path / ".venv" / "bin" / "python"):
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(JUPYTER)
        python.chmod(0o755)
    for name in (".venv/.test", "Makefile"):
        (tmp_path / name).touch()
    opened = make(tmp_path, (), "notebook", "--assume-old=.venv/.test", "ARGS=--no-browser", cwd=tmp_path)
    assert opened.returncode == 0, opened.stderr
    called, installed, kernel, lab = (tmp_path / "calls").read_text().splitlines()
    assert called == "python3 -m venv .venv/jupyter"
    assert installed.startswith(".venv/jupyter/bin/python -m pip install ")
    assert "jupyterlab==" in installed
    assert kernel == ".venv/bin/python -m ipykernel install --prefix .venv/jupyter --name python3"
    assert lab == ".venv/jupyter/bin/jupyter lab --no-browser notebooks"

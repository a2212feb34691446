"""The command with only the packages of requirements-submit.txt, as in a notebook."""

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.pipeline.remote.command import READ_BY_THE_COMMAND
from tests.pipeline.remote.conftest import LOGIN, inputs
from tests.pipeline.remote.platform_server import Platform, serving

pytestmark = pytest.mark.slow  # many of these tests start processes or wait

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to the packages of this environment that the file names."""
    folder = tmp_path_factory.mktemp("site")
    for line in (ROOT / "requirements-submit.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):  # a hash
            continue
        requirement = Requirement(line.removesuffix(" \\"))
        if requirement.marker and not requirement.marker.evaluate():
            continue
        found = distribution(requirement.name)
        for name in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            link = folder / name
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(name))))
    return folder


def run(site: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_THE_COMMAND)}
    return subprocess.run(  # noqa: PLW1510 - the exit code is what is tested
        [sys.executable, "-S", "pipeline/compile_and_run_pipeline.py", "--image-tag", "1.0", *arguments],  # no others
        cwd=ROOT,
        env={**inherited, "PYTHONPATH": str(site), **variables},
        capture_output=True,
        text=True,
    )


def test_pipeline_is_compiled(site: Path, tmp_path: Path) -> None:
    paths = inputs("s3://bucket/archives", "s3://bucket/reports.csv")
    done = run(site, "--compile-only", "--output", str(tmp_path / "pipeline.yaml"), *paths)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "pipeline.yaml").is_file()


def test_run_is_submitted_after_a_check_of_the_inputs(site: Path, storage: dict[str, str]) -> None:
    with serving() as platform:
        told = submit(site, platform, storage, *inputs("s3://preflight/archives", "s3://preflight/reports.csv"))
        assert told.returncode == 0, told.stderr
        assert "ok: archives: 1 archives; without pyarrow their columns are not checked\n" in told.stdout
        assert "ok: reports: found; without pandas its columns are not checked\n" in told.stdout
        assert len(platform.api.runs) == 1
        absent = submit(site, platform, storage, *inputs("s3://preflight/nothing", "s3://preflight/absent.csv"))
        assert (absent.returncode, len(platform.api.runs)) == (1, 1)
        assert "error: not submitted, because checks failed: archives, reports;" in absent.stderr


def submit(
    site: Path, platform: Platform, storage: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return run(site, "--remote", *arguments, KUBEFLOW_ENDPOINT=platform.endpoint, **LOGIN, **storage)


@pytest.mark.parametrize(
    ("option", "fix"), [("--remote", "pip install .* requirements-submit.txt"), ("--local", "use `make run`, .*")]
)
def test_missing_packages_are_named_with_what_installs_them(tmp_path: Path, option: str, fix: str) -> None:
    done = run(tmp_path, option)
    assert done.returncode == 2
    assert re.fullmatch(f"error: click is not installed; {fix}\n", done.stderr)


def test_local_run_needs_the_libraries_of_the_steps(site: Path) -> None:
    done = run(site, "--local")
    assert done.returncode == 2
    assert done.stderr == "error: --local needs all dependencies; use `make run`, which installs them\n"

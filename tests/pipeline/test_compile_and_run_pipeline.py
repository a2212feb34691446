import subprocess
import sys
from pathlib import Path

import pytest

from container_component_src.errors import InputError
from pipeline.compile_and_run_pipeline import parse_parameters

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510 - the exit code is what is tested
        [sys.executable, "pipeline/compile_and_run_pipeline.py", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_parameters_are_split_at_the_first_equals_sign() -> None:
    assert parse_parameters(("a=1", "b=x=y", "c=")) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("text", ["novalue", "=1"])
def test_malformed_parameter_is_named(text: str) -> None:
    with pytest.raises(InputError, match=text):
        parse_parameters((text,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--local"),
        (("--local", "--compile-only"), "--local"),
        (("--local", "--config", "absent.toml"), "absent.toml"),
        (("--local", "--param", "windowhours=1"), "windowhours"),
        (("--local", "--param", "window_hours=long"), "window_hours"),
    ],
)
def test_bad_use_is_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    finished = run(*arguments)
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert message in line

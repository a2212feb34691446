import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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
        ((), "this is no Kubeflow notebook"),
        (("--local", "--remote"), "exclude each other"),
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


def test_parameters_of_the_configuration_are_the_defaults_of_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text((ROOT / "config.toml").read_text() + "window_hours = 0.5\nlatent_dims = [3]\n")
    output = tmp_path / "out.yaml"
    done = run("--compile-only", "--config", str(config), "--output", str(output), "--image-tag", "7")
    assert (done.returncode, done.stderr) == (0, "")
    spec, _ = yaml.safe_load_all(output.read_text())
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["window_hours"]["defaultValue"] == 0.5
    assert parameters["latent_dims"]["defaultValue"] == [3]
    images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images == {"columbus-eclss-ad:7"}
    config.write_text(config.read_text() + "windowhours = 0.5\n")
    wrong = run("--compile-only", "--config", str(config), "--output", str(output))
    assert wrong.returncode == 2
    assert "'windowhours'" in wrong.stderr.splitlines()[-1]

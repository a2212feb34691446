import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import yaml

from container_component_src.errors import InputError
from container_component_src.settings import load_settings
from container_component_src.steps.shared import Origin
from pipeline import local
from pipeline.compile_and_run_pipeline import compile_and_run_pipeline, main, run_on_this_machine
from pipeline.local import LocalRunOptions
from pipeline.options import check_options, parse_parameters
from tests.helpers import write_toml
from tests.pipeline.remote.command import call

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510 - the exit code is what is tested
        [sys.executable, "pipeline/compile_and_run_pipeline.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "IMAGE_TAG": "1.0"},  # whatever state this checkout is in
        capture_output=True,
        text=True,
    )


def check(*arguments: str) -> None:
    """Read options as the command does, and check that they go together."""
    check_options(compile_and_run_pipeline.make_context("compile_and_run_pipeline.py", list(arguments)))


def test_parameters_are_split_at_the_first_equals_sign() -> None:
    assert parse_parameters(("a=1", "b=x=y", "c=")) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data_root", "folder"), [("~/runs", "{home}/runs"), ("runs", f"{ROOT}/runs"), ("s3://bucket/runs",) * 2]
)
def test_a_local_run_gets_a_data_root_that_any_working_directory_finds(
    data_root: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[LocalRunOptions] = []

    def run_locally(options: LocalRunOptions) -> SimpleNamespace:
        given.append(options)
        return SimpleNamespace(exit_code=0)

    monkeypatch.setattr(local, "run_locally", run_locally)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings(ROOT / "config.toml")
    paths = settings.paths.model_copy(update={"work_dir": tmp_path})
    run_on_this_machine(settings.model_copy(update={"paths": paths}), {"data_root": data_root}, Origin(), cache=True)
    assert given[0].arguments["data_root"] == folder.format(home=tmp_path)


@pytest.mark.parametrize("text", ["novalue", "=1"])
def test_malformed_parameter_is_named(text: str) -> None:
    with pytest.raises(InputError, match=text):
        parse_parameters((text,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "this is not a Kubeflow notebook"),
        (("--local", "--remote"), "exclude each other"),
        (("--local", "--config", "absent.toml"), "absent.toml"),
        (("--local", "--config", "/dev/zero"), "/dev/zero: not a regular file"),
        (("--compile-only", "--param", "latent_dims=[100000000]"), "but a pod (memory 8Gi) has 8.0 GiB"),
        (("--local", "--param", "windowhours=1"), "windowhours"),
        (("--local", "--param", "window_hours=long"), "window_hours"),
    ],
)
def test_bad_use_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finished = call(tmp_path, monkeypatch, capsys, *arguments, IMAGE_TAG="1.0")
    assert finished.code == 2
    (line,) = finished.error.splitlines()
    assert message in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("/dev/null/pipeline.yaml", "/dev/null/pipeline.yaml: a folder of this path is"),
        ("/dev/full", "/dev/full: the output is a file, but this is a device"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line_and_exit_code_2(output: str, message: str) -> None:
    finished = run("--compile-only", "--output", output)
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--local --compile-only", "exclude each other"),
        ("--insecure", "--insecure is for --remote"),
        ("--local --ca-bundle ca.pem", "--ca-bundle is for --remote"),
        ("--remote --output a.yaml", "--output is for --compile-only"),
        ("--remote --containers", "--containers is for --local"),
        ("--local --wait", "--wait is for a notebook or --remote"),
        ("--compile-only --upload", "--upload is for a notebook or --remote"),
        ("--compile-only --skip-preflight", "--skip-preflight is for"),
        ("--remote --list-schedules --disable-schedule a", "exclude each other"),
        ("--remote --schedule ''", "--schedule is empty"),
        ("--disable-schedule ''", "--disable-schedule is empty"),
        ("--retry ''", "--retry is empty"),
        ("--local --retry a", "--retry is for a notebook or --remote"),
        ("--retry a --wait --param max_epochs=3", "--param has no effect with --retry"),
        ("--retry a --upload", "--upload has no effect with --retry"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(options: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(*shlex.split(options))


def test_commands_of_the_documents_are_those_of_the_program() -> None:
    told = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("\\\n", "")
        told += re.findall(r"^(?:\S*python|.*poetry run python) pipeline/compile_and_run_pipeline\.py(.*)$", text, re.M)
        for target, options in re.findall(
            r"^make (?:image && make )?(run|run-containers|compile)(?: ARGS=\"(.*)\")?", text, re.M
        ):
            place = {"run": "--local", "run-containers": "--local --containers", "compile": "--compile-only"}[target]
            told.append(f"{place} {options}")
    assert len(told) > 12
    for options in told:
        check(*shlex.split(options, comments=True))


def test_paths_of_options_mean_the_home_folder_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = [f"--{name}=~/{name}" for name in ("output", "config", "ca-bundle")]
    context = compile_and_run_pipeline.make_context("compile_and_run_pipeline.py", arguments)
    found = [context.params[name] for name in ("output", "config_file", "ca_bundle")]
    assert found == [tmp_path / name for name in ("output", "config", "ca-bundle")]


def test_a_path_with_a_null_character_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="null character"):
        compile_and_run_pipeline.make_context("compile_and_run_pipeline.py", ["--output=a\0b"])


def test_every_option_is_described() -> None:
    options = [parameter for parameter in compile_and_run_pipeline.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.slow
def test_parameters_of_the_configuration_and_of_the_command_are_the_defaults_of_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text((ROOT / "config.toml").read_text() + "window_hours = 0.1\nlatent_dims = [3]\n")
    output = tmp_path / "out.yaml"
    more = ("--param", "max_epochs=3", "--param", "window_hours=0.5", "--image-tag", "7")
    done = run("--compile-only", "--config", str(config), "--output", str(output), *more)
    assert done.returncode == 0
    told = "archives_path local_data/example/telemetry and reports_path local_data/example/anomaly_reports.xlsx"
    nameless, local = done.stderr.splitlines()
    assert nameless.startswith(
        "warning: columbus-eclss-ad:7 names no registry, so nodes ask Docker Hub for it; name it in"
    )
    assert local.startswith(f"warning: no cluster can read {told}, which this machine has; give s3:// addresses")
    spec, _ = yaml.safe_load_all(output.read_text())
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["window_hours"]["defaultValue"] == 0.5
    assert parameters["latent_dims"]["defaultValue"] == [3]
    assert parameters["max_epochs"]["defaultValue"] == 3
    images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images == {"columbus-eclss-ad:7"}
    own = [f"--param={name}_path=s3://bucket/{name}" for name in ("archives", "reports")]
    named = tmp_path / "named.toml"
    named.write_text(config.read_text().replace('\nrepository = "', '\nrepository = "registry.io/'))
    assert run("--compile-only", "--config", str(named), "--output", str(output), *own).stderr == ""
    config.write_text(config.read_text() + "windowhours = 0.5\n")
    wrong = run("--compile-only", "--config", str(config), "--output", str(output))
    assert wrong.returncode == 2
    assert "'windowhours'" in wrong.stderr.splitlines()[-1]


def test_a_payload_log_on_this_machine_is_refused_for_a_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {"archives": "s3://telemetry/archives", "reports": "s3://telemetry/reports.csv"}
    config = write_toml(tmp_path / "config.toml", {"paths": paths, "platform": {"payload_log": "log"}})
    options = ("--compile-only", "--config", str(config), "--image-tag", "7", "--output", str(tmp_path / "out.yaml"))
    assert main(list(options)) == 2
    told = "payload_log log: the pods of a service cannot write to this machine; give an s3:// address in [platform]"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out.yaml").exists()

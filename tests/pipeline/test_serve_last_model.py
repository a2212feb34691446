import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from container_component_src.backends.local.processes import free_ports
from container_component_src.command_line import run_command
from container_component_src.settings import Platform
from pipeline.serve_last_model import hosting_of, last_model, serve_last_model
from tests.helpers import write_toml
from tests.serving.bundles import make_bundle, write_test_dataset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a local run whose model is a tiny bundle."""
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "scaled test", start=1_700_000_000 * 10**9)
    artifacts = {"scaled_test": str(tmp_path / "scaled test")}
    summarize(tmp_path, {"status": "succeeded", "model": str(tmp_path / "bundle"), "artifacts": artifacts})
    paths = {"archives": "archives", "reports": "reports.csv", "work_dir": str(tmp_path)}
    return write_toml(tmp_path / "config.toml", {"paths": paths})


def summarize(work_dir: Path, summary: dict[str, object]) -> None:
    (work_dir / "last_run").mkdir(exist_ok=True)
    (work_dir / "last_run" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def error_of(*arguments: object, capsys: pytest.CaptureFixture[str]) -> str:
    code = run_command(serve_last_model, [str(argument) for argument in arguments], "serve_last_model")
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 2
    return line


@pytest.mark.slow
def test_the_model_of_the_last_run_is_served_until_ctrl_c(config: Path) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "pipeline.serve_last_model", "--config", str(config), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = ""
        for line in process.stdout:
            told += line
            if line.startswith("Ctrl-C"):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        answers = [
            subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
            for line in told.splitlines()
            if line.startswith("  ") and shutil.which(line.split()[0])
        ]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=300)
    assert f"at http://127.0.0.1:{port}\n" in told
    assert (process.returncode, rest) == (0, "stopped\n")
    assert children
    assert not any(child.is_running() for child in children)
    *curl, query = answers
    assert query.returncode == 0, query.stderr
    assert "5 rows" in query.stdout
    assert query.stderr == ""  # the request has timestamps
    assert [len(json.loads(answer.stdout)["predictions"]) for answer in curl] in ([5], [])  # [] if there is no curl


def test_a_run_without_a_model_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summarize(config.parent, {"status": "failed", "model": None, "artifacts": {}})
    message = error_of("--config", config, capsys=capsys)
    assert message.endswith(
        "summary.json: the last run failed without a model; run the pipeline to its end with `make run`"
    )


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ({}, "configured"),
        ({"parameters": {"service_name": "loop"}}, "loop"),
        ({"parameters": {}}, "columbus-eclss-ad"),  # the run had the default, whatever the configuration says now
    ],
)
def test_the_service_has_the_name_that_the_run_gave_it(config: Path, run: dict[str, object], name: str) -> None:
    last_run = config.parent / "last_run"
    summary = json.loads((last_run / "summary.json").read_text())
    summarize(config.parent, {**summary, "run": run})
    service, request = last_model(last_run, "configured")
    assert service.name == name
    assert len(request["instances"]) == 5


def test_without_a_run_there_is_nothing_to_serve(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "last_run" / "summary.json").unlink()
    assert "summary.json: no such file; run the pipeline" in error_of("--config", config, capsys=capsys)


def test_a_model_that_was_deleted_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(config.parent / "bundle")
    assert "bundle: no model bundle" in error_of("--config", config, capsys=capsys)


def test_a_port_in_use_is_refused_with_the_way_to_choose_another(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        message = error_of("--config", config, "--port", port, capsys=capsys)
    assert message.startswith(f"error: port {port} cannot be used (Address already in use); choose another one: make")


@pytest.mark.parametrize(
    ("given", "used"), [("", ""), ("log", str(ROOT / "log")), ("/log", "/log"), ("s3://logs", "s3://logs")]
)
def test_the_service_writes_the_payload_log_of_the_configuration(config: Path, given: str, used: str) -> None:
    hosting = hosting_of(Platform(payload_log=given, payload_log_fraction=0.5))
    service, _ = last_model(config.parent / "last_run", "configured", hosting)
    command = service.predictor_command("bundle")
    assert "--combined" in command
    if used:
        assert command[command.index("--payload-log") :][:4] == ["--payload-log", used, "--payload-log-fraction", "0.5"]
    else:
        assert "--payload-log" not in command

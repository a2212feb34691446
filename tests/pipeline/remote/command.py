"""The command `compile_and_run_pipeline.py`: called in this process, or started as a process of its own."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import compilation, compile_and_run_pipeline
from pipeline.remote import client, request_retry, submit, workflow_watch
from tests.pipeline.compiled import compile_once, load_once
from tests.pipeline.remote.gateways import SECRETS

ROOT = Path(__file__).resolve().parents[3]
POLL_SECONDS, READ_SECONDS = 0.05, 2
READ_BY_THE_COMMAND = ("KUBEFLOW_", "KF_PIPELINES_", "AWS_", "S3_")

# The program as it is, except for short intervals, a log file for all loggers, and no .env file of the developer.
_PROGRAM = f"""
import logging, pathlib, os, sys
logging.basicConfig(level=logging.DEBUG, filename=os.environ["LOG"])
logging.getLogger().addHandler(logging.lastResort)
from pipeline import compilation, compile_and_run_pipeline
from pipeline.remote import request_retry, workflow_watch
compile_and_run_pipeline.PROJECT_ROOT = pathlib.Path(os.environ["LOG"]).parent
request_retry.POLL_INTERVAL, workflow_watch.LOOK_INTERVAL = {POLL_SECONDS}, 0
sys.exit(compile_and_run_pipeline.main())
"""


@dataclass(frozen=True)
class CommandResult:
    """What a command printed; it contains no secret.

    Attributes:
        code: Exit code.
        out: Standard output.
        error: Standard error.
    """

    code: int
    out: str
    error: str

    def __post_init__(self) -> None:
        assert secrets_in(self.out, self.error) == []


Command = Callable[..., CommandResult]


def call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, **variables: str
) -> CommandResult:
    """Run the command in this process.

    Args:
        folder: Folder of the .env file.
        monkeypatch: Fixture of the test.
        capsys: Fixture of the test.
        arguments: Options of the command.
        variables: Environment variables that the command reads.
    """
    with monkeypatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(READ_BY_THE_COMMAND)]:
            patched.delenv(name)
        for name, value in {**_no_cluster(folder), **variables}.items():
            patched.setenv(name, value)
        patched.setattr(sys, "argv", ["compile_and_run_pipeline.py", *arguments])
        patched.setattr(compile_and_run_pipeline, "PROJECT_ROOT", folder)
        patched.setattr(compilation, "compile_pipeline", compile_once)
        patched.setattr(submit, "load_pipeline_spec", load_once)
        patched.setattr(request_retry, "POLL_INTERVAL", POLL_SECONDS)
        patched.setattr(workflow_watch, "LOOK_INTERVAL", 0)
        patched.setattr(client, "_READ_SECONDS", READ_SECONDS)
        capsys.readouterr()
        try:
            code = compile_and_run_pipeline.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            logging.captureWarnings(False)
        written = capsys.readouterr()
    return CommandResult(code, written.out, written.err)


def run(folder: Path, *arguments: str, interrupt_at: str = "", **variables: str) -> CommandResult:
    """Run the command as a process whose log file contains no secret.

    Args:
        folder: Folder of the log and of the .env file.
        arguments: Options of the command.
        interrupt_at: Text on standard output after which Ctrl-C is pressed.
        variables: Environment variables that the command reads.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_THE_COMMAND)}
    log = folder / "log"
    process = subprocess.Popen(
        [sys.executable, "-uc", _PROGRAM, *arguments],
        cwd=ROOT,
        env={**inherited, "LOG": str(log), **_no_cluster(folder), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    before = ""
    assert process.stdout
    while interrupt_at and interrupt_at not in before:
        before += process.stdout.readline()
    if interrupt_at:
        process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert secrets_in(log.read_text()) == []
    return CommandResult(process.returncode, before + out, error)


@contextlib.contextmanager
def no_secret_in_command_lines() -> Iterator[None]:
    """Check the command lines of all processes of this machine while the command runs as a process in the block."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.update(_read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert any(_PROGRAM in line for line in seen)
    assert secrets_in(*seen) == []


def secrets_in(*texts: str) -> list[str]:
    """Return the secrets of the tests that occur in a text."""
    return [secret for secret in SECRETS if any(secret in text for text in texts)]


def _no_cluster(folder: Path) -> dict[str, str]:
    """Return variables that keep the preflight from the developer's cluster."""
    return {"KUBECONFIG": str(folder / "no-kubeconfig")}


def _read(path: Path) -> str:
    """Read a file of a process, which may have ended."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""

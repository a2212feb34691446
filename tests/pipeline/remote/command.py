"""The command of the pipeline as the tests give it: as a process of its own, or as a call in this one."""

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

from pipeline import compile_and_run_pipeline
from pipeline.remote import client, request_retry, workflow_watch
from tests.pipeline.remote.gateways import SECRETS

ROOT = Path(__file__).resolve().parents[3]
POLL_SECONDS, READ_SECONDS = 0.05, 2
READ_BY_THE_COMMAND = ("KUBEFLOW_", "KF_PIPELINES_", "AWS_", "S3_")

# The intervals are short, so that the tests are, all loggers also write to a file, and the .env of the developer has no
# part in it; else it is the program as it is.
_PROGRAM = f"""
import logging, pathlib, os, sys
logging.basicConfig(level=logging.DEBUG, filename=os.environ["LOG"])
logging.getLogger().addHandler(logging.lastResort)
from pipeline import compile_and_run_pipeline
from pipeline.remote import client, request_retry, workflow_watch
compile_and_run_pipeline.PROJECT_ROOT = pathlib.Path(os.environ["LOG"]).parent
request_retry.POLL_INTERVAL, workflow_watch.LOOK_INTERVAL, client._READ_SECONDS = {POLL_SECONDS}, 0, {READ_SECONDS}
sys.exit(compile_and_run_pipeline.main())
"""


@dataclass(frozen=True)
class Told:
    """What a finished command told, in which no secret was.

    Attributes:
        code: Its exit code.
        out: What it wrote to stdout.
        error: What it wrote to stderr.
    """

    code: int
    out: str
    error: str

    def __post_init__(self) -> None:
        assert secrets_in(self.out, self.error) == []


Command = Callable[..., Told]


def call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, **variables: str
) -> Told:
    """Run the command in this process.

    Args:
        folder: Where it looks for a .env file.
        monkeypatch: Of the test.
        capsys: Of the test.
        arguments: Its options.
        variables: The environment variables that it reads.
    """
    with monkeypatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(READ_BY_THE_COMMAND)]:
            patched.delenv(name)
        for name, value in {**_no_cluster(folder), **variables}.items():
            patched.setenv(name, value)
        patched.setattr(sys, "argv", ["compile_and_run_pipeline.py", *arguments])
        patched.setattr(compile_and_run_pipeline, "PROJECT_ROOT", folder)
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
    return Told(code, written.out, written.err)


def run(folder: Path, *arguments: str, interrupt_at: str = "", **variables: str) -> Told:
    """Run the command as a process; neither its log nor any command line of this machine has a secret meanwhile.

    Args:
        folder: For its log, and where it looks for a .env file.
        arguments: Its options.
        interrupt_at: What it has written when Ctrl-C is pressed.
        variables: The environment variables that it reads.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_THE_COMMAND)}
    log = folder / "log"
    with _watching_command_lines() as command_lines:
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
    assert any(_PROGRAM in line for line in command_lines)
    assert secrets_in(log.read_text(), *command_lines) == []
    return Told(process.returncode, before + out, error)


def _no_cluster(folder: Path) -> dict[str, str]:
    """Keeps the preflight from the cluster of whoever runs the tests."""
    return {"KUBECONFIG": str(folder / "no-kubeconfig")}


def secrets_in(*texts: str) -> list[str]:
    """Those of the tests' secrets that are in a text."""
    return [secret for secret in SECRETS if any(secret in text for text in texts)]


@contextlib.contextmanager
def _watching_command_lines() -> Iterator[set[str]]:
    """All command lines that any process of this machine has while the block runs."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.update(_read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _read(path: Path) -> str:
    """A file of a process, which may have ended meanwhile."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""

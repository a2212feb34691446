import os
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.local.processes import ProcessLauncher, RunInterruptedError, last_lines
from tests.programs import is_running


def launcher(directory: Path, grace_seconds: float = 5.0) -> ProcessLauncher:
    return ProcessLauncher(directory, dict(os.environ), grace_seconds)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_and_exit_code(tmp_path: Path) -> None:
    code = "import os, sys; print('out'); print(os.environ['MORE'], os.getcwd(), file=sys.stderr); sys.exit(3)"
    result = launcher(tmp_path).run(python(code), tmp_path / "log", {"MORE": "more"})
    assert result.exit_code == 3
    assert sorted((tmp_path / "log").read_text().splitlines()) == [f"more {tmp_path}", "out"]


def test_second_attempt_appends_to_the_log(tmp_path: Path) -> None:
    for _ in range(2):
        launcher(tmp_path).run(python("print('once')"), tmp_path / "log", {})
    assert (tmp_path / "log").read_text() == "once\nonce\n"


def test_peak_memory_is_that_of_the_largest_single_process(tmp_path: Path) -> None:
    child = "import time; block = bytearray(200 * 2**20); time.sleep(1)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); import time; time.sleep(0.5)"
    result = launcher(tmp_path).run(python(code), tmp_path / "log", {})
    assert result.peak_rss_mib is not None
    assert 200 < result.peak_rss_mib < 260


def test_process_left_behind_by_a_command_that_ended_is_stopped(tmp_path: Path) -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    result = launcher(tmp_path).run(python(code), tmp_path / "log", {})
    assert result.exit_code == 0
    assert not is_running(int((tmp_path / "log").read_text()))


@pytest.mark.parametrize("handler", ["lambda *_: (print('stopped', flush=True), sys.exit(0))", "signal.SIG_IGN"])
def test_interruption_sends_sigterm_before_sigkill(tmp_path: Path, handler: str) -> None:
    code = (
        f"import os, signal, sys, time; signal.signal(signal.SIGTERM, {handler}); "
        "print(os.getpid(), flush=True); time.sleep(600)"
    )
    runs, log = launcher(tmp_path, grace_seconds=1.0), tmp_path / "log"

    def interrupt() -> None:
        while not (log.exists() and log.read_text()):
            time.sleep(0.05)
        runs.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(RunInterruptedError):
        runs.run(python(code), log, {})
    thread.join()
    pid, *rest = log.read_text().split()
    assert not is_running(int(pid))
    assert rest == ([] if "SIG_IGN" in handler else ["stopped"])


def test_nothing_starts_after_an_interruption(tmp_path: Path) -> None:
    runs = launcher(tmp_path)
    runs.interrupt()
    with pytest.raises(RunInterruptedError):
        runs.run(python("print('started')"), tmp_path / "log", {})
    assert not (tmp_path / "log").exists()


def test_missing_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        launcher(tmp_path).run(["no-such-program"], tmp_path / "log", {})


def test_last_lines_of_a_long_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n\n" for number in range(100_000)))
    assert last_lines(tmp_path / "log", 2) == ["line 99998", "line 99999"]
    (tmp_path / "log").write_bytes(b"\xff only\n")
    assert last_lines(tmp_path / "log", 2) == ["\ufffd only"]

"""Runs a command of the project as users do, in a process of its own, and measures its time and memory."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from container_component_src.errors import StepError

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.05
TREE_SAMPLES = 5  # samples between two searches for new processes: a search looks at every process of the machine


@dataclass(frozen=True)
class Usage:
    """What a command, or several after each other, took."""

    seconds: float  # from the start of the process to its end
    tree_bytes: int  # largest sum of the resident sets of the process and its descendants at one moment
    process_bytes: int  # largest resident set of any single one of these processes
    foreign_seconds: float = 0.0  # of the processor, taken by all other processes of the machine meanwhile

    def __add__(self, other: "Usage") -> "Usage":
        """One after the other."""
        return Usage(
            self.seconds + other.seconds,
            max(self.tree_bytes, other.tree_bytes),
            max(self.process_bytes, other.process_bytes),
            self.foreign_seconds + other.foreign_seconds,
        )


def run_command(arguments: Sequence[str], log: Path) -> Usage:
    """Run a command of `main.py` and wait for its end.

    Args:
        arguments: Command and options.
        log: File that its output is appended to.

    Raises:
        StepError: It ended with an error; the message has the last line of its output.
    """
    program = PROJECT / "container_component_src" / "main.py"
    os.sync()  # what was written before is not this command's burden
    with log.open("ab") as output:
        foreign, start = _foreign_seconds(), time.perf_counter()
        process = subprocess.Popen([sys.executable, str(program), *arguments], stdout=output, stderr=output)
        sampler = MemorySampler(process.pid)
        sampler.start()
        try:
            code = process.wait()
            seconds, foreign = time.perf_counter() - start, _foreign_seconds() - foreign
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            sampler.stop()
    if code:
        lines = log.read_text(encoding="utf-8").splitlines() or ["no output"]
        raise StepError(f"{arguments[0]} ended with exit code {code}: {lines[-1]}")
    return Usage(seconds, sampler.tree_bytes, sampler.process_bytes, max(0.0, foreign))


def _foreign_seconds() -> float:
    """Processor time since some moment that neither this process nor its ended descendants took."""
    machine, own = psutil.cpu_times(), os.times()
    own_seconds = own.user + own.system + own.children_user + own.children_system
    return machine.user + machine.nice + machine.system - own_seconds  # user includes guests


@dataclass
class MemorySampler:
    """Watches the memory of a process and its descendants from a thread."""

    pid: int
    tree_bytes: int = 0
    process_bytes: int = 0
    _known: dict[int, psutil.Process] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to sample."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; the peaks are final when this returns."""
        self._ended.set()
        self._thread.join()
        self.tree_bytes = max(self.tree_bytes, self.process_bytes)  # whose peak may lie between two samples

    def _watch(self) -> None:
        count = 0
        while not self._ended.is_set():
            if count % TREE_SAMPLES == 0:
                self._find_processes()
            self._sample()
            count += 1
            self._ended.wait(SAMPLE_SECONDS)

    def _find_processes(self) -> None:
        try:
            root = psutil.Process(self.pid)
            self._known = {process.pid: process for process in (root, *root.children(recursive=True))}
        except psutil.NoSuchProcess:
            self._known = {}

    def _sample(self) -> None:
        total = 0
        for process in self._known.values():
            try:
                resident = process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            total += resident
            self.process_bytes = max(self.process_bytes, resident, high_water_mark(process.pid))
        self.tree_bytes = max(self.tree_bytes, total)


def high_water_mark(pid: int) -> int:
    """Peak resident set in bytes as the kernel counts it, between samples too; 0 where it does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else 0

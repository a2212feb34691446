"""Processes of steps: each in a session of its own, with its output in a file, and none left behind."""

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from container_component_src.processes import group_members, is_running, stop

POLL_SECONDS = 0.25
TAIL_BYTES = 16_384


class RunInterruptedError(Exception):
    """The run was told to stop; steps that have not started must not start."""


@dataclass(frozen=True)
class ProcessResult:
    """How a process ended.

    Attributes:
        exit_code: As subprocess gives it: negative for a signal.
        peak_rss_mib: Largest resident memory of any single process of its tree, in MiB; on Linux the kernel's own
            high-water mark as last read, elsewhere the largest sample. None if it ended before it could be read.
    """

    exit_code: int
    peak_rss_mib: float | None


class ProcessLauncher:
    """Runs commands and stops them all when told to.

    Args:
        cwd: Working directory of the commands.
        env: Environment of the commands, whole.
        grace_seconds: Time between SIGTERM and SIGKILL.

    Attributes:
        image_id: The container image that commands run in; empty, as they run on this machine.
    """

    image_id: str = ""

    def __init__(self, cwd: Path, env: Mapping[str, str], grace_seconds: float = 5.0) -> None:
        self.cwd = cwd
        self.env = env
        self.grace_seconds = grace_seconds
        self._interrupts = 0

    @property
    def interrupted(self) -> bool:
        """Whether the run was told to stop."""
        return self._interrupts > 0

    def interrupt(self) -> None:
        """Stop every running command and start no other; the second call kills without grace.

        Only counts, since it is called from a signal handler, where no lock may be taken: the thread that waits for
        a command sees it within a poll interval.
        """
        self._interrupts += 1

    def run(self, command: Sequence[str], log: Path, env: Mapping[str, str]) -> ProcessResult:
        """Run a command to its end, its output appended to a file.

        Args:
            command: Program and arguments.
            log: File for stdout and stderr.
            env: Variables on top of the launcher's environment.

        Returns:
            How it ended. By then no process that it started is alive.

        Raises:
            RunInterruptedError: The run was told to stop, before the command or while it ran.
            OSError: The program cannot be started.
        """
        if self.interrupted:
            raise RunInterruptedError
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env={**self.env, **env},
                start_new_session=True,
            )
        tree = _ProcessTree(process)
        try:
            while not self.interrupted and not tree.ended():
                tree.sample()
        finally:
            self._stop(tree)
        if self.interrupted:
            raise RunInterruptedError
        return ProcessResult(process.returncode, round(tree.peak_rss / 2**20, 1) if tree.peak_rss else None)

    def _stop(self, tree: "_ProcessTree") -> None:
        """End what is left of a tree: SIGTERM, and SIGKILL after the grace period."""
        stop(tree.running, self.grace_seconds, impatient=lambda: self._interrupts > 1)
        tree.process.wait()


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log file that are not empty, at most `count` of them."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


class _ProcessTree:
    """A process and everything that descends from it, also what has left its session."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.peak_rss = 0
        self._seen: set[psutil.Process] = set()
        self.sample()

    def ended(self) -> bool:
        """Wait a poll interval for the process itself to end."""
        try:
            self.process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def sample(self) -> None:
        """Note the descendants and the largest resident memory among all processes of the tree."""
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            self._seen.update([root, *root.children(recursive=True)])
        self._seen = {member for member in self._seen if is_running(member)}
        self.peak_rss = max([self.peak_rss, *(_peak_rss(member) for member in self._seen)])

    def running(self) -> set[psutil.Process]:
        """Processes of the tree that still run."""
        self.process.poll()
        self.sample()
        return {*self._seen, *group_members({self.process.pid})}


def _peak_rss(process: psutil.Process) -> int:
    """Peak resident memory of a process in bytes, 0 once it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0

"""Processes of steps: each one has its own session and log file, and none outlives its step."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from container_component_src.processes import group_members, is_running, stop

POLL_SECONDS = 0.25
TAIL_BYTES = 16_384


class RunInterruptedError(Exception):
    """The run was interrupted, so no further step may start."""


@dataclass(frozen=True)
class ProcessResult:
    """Result of a process.

    Attributes:
        exit_code: Exit code as in subprocess: negative for a signal.
        peak_rss_mib: Largest resident memory of any process of the tree in MiB: on Linux the kernel's high-water mark,
            elsewhere the largest sample. None if the process ended before it could be read.
    """

    exit_code: int
    peak_rss_mib: float | None


class ProcessLauncher:
    """Launcher of commands that can all be interrupted.

    Args:
        cwd: Working directory of the commands.
        env: Complete environment of the commands.
        grace_seconds: Time between SIGTERM and SIGKILL.

    Attributes:
        image_id: ID of the container image of the commands; empty if they run on this machine.
    """

    image_id: str = ""

    def removal(self, run_id: str) -> list[str]:
        """Return a command that removes what a run has left behind beside processes; empty if there is nothing."""
        return []

    def __init__(self, cwd: Path, env: Mapping[str, str], grace_seconds: float = 5.0) -> None:
        self.cwd = cwd
        self.env = env
        self.grace_seconds = grace_seconds
        self._interrupts = 0

    @property
    def interrupted(self) -> bool:
        """Whether the run was interrupted."""
        return self._interrupts > 0

    def interrupt(self) -> None:
        """Stop all running commands and start no others; the second call kills without a grace period.

        This method only counts, because signal handlers call it and must not take locks. The thread that waits for a
        command notices within a poll interval.
        """
        self._interrupts += 1

    def run(
        self, command: Sequence[str], log: Path, env: Mapping[str, str], watch: Callable[[], None] = lambda: None
    ) -> ProcessResult:
        """Run a command, append its output to a file, and wait for its end.

        Args:
            command: Program and arguments.
            log: File for stdout and stderr.
            env: Variables in addition to the launcher's environment.
            watch: Called several times a second while the command runs.

        Returns:
            Result of the command; none of its processes is alive any more.

        Raises:
            RunInterruptedError: The run was interrupted before or during the command.
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
                watch()
        finally:
            self._stop(tree)
        if self.interrupted:
            raise RunInterruptedError
        return ProcessResult(process.returncode, round(tree.peak_rss / 2**20, 1) if tree.peak_rss else None)

    def _stop(self, tree: "_ProcessTree") -> None:
        """End the rest of a process tree with SIGTERM, and with SIGKILL after the grace period."""
        stop(tree.running, self.grace_seconds, impatient=lambda: self._interrupts > 1)
        tree.process.wait()


def last_lines(log: Path, count: int) -> list[str]:
    """Return up to `count` non-empty lines from the end of a log file."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


class _ProcessTree:
    """A process and its descendants, including those that have left its session."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.peak_rss = 0
        self._seen: set[psutil.Process] = set()
        self.sample()

    def ended(self) -> bool:
        """Wait up to a poll interval for the process, and return whether it has ended."""
        try:
            self.process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def sample(self) -> None:
        """Record the descendants and the largest resident memory of any process of the tree."""
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            self._seen.update([root, *root.children(recursive=True)])
        self._seen = {member for member in self._seen if is_running(member)}
        self.peak_rss = max([self.peak_rss, *(_peak_rss(member) for member in self._seen)])

    def running(self) -> set[psutil.Process]:
        """Return the running processes of the tree, without zombies."""
        self.process.poll()
        self.sample()
        return {*self._seen, *group_members({self.process.pid})}


def _peak_rss(process: psutil.Process) -> int:
    """Return the peak resident memory of a process in bytes; 0 if the process has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0

"""A process that watches another one: it ends the processes of a run when the run has ended, in whatever way.

SIGKILL cannot be caught, so a killed runner cannot end its steps. The operating system does close its end of a pipe,
which the watchdog reads.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from container_component_src.maintenance.cleanup import clean_up
from container_component_src.processes import PROJECT_ROOT


@contextmanager
def watched(run_id: str, last_command: Sequence[str] = ()) -> Iterator[None]:
    """Clean up after a run when the block ends, and also when this process is killed in it.

    Args:
        run_id: Value of `PIPELINE_RUN_ID` in the environment of the run's processes, which this process does not have.
        last_command: Command that ends what is not a process of this user, such as containers.
    """
    watchdog = subprocess.Popen(
        [sys.executable, "-m", "container_component_src.maintenance.watchdog", run_id, *last_command],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with watchdog:  # its end closes the pipe, and waits
        yield


def main(arguments: Sequence[str]) -> None:
    """Wait until the other end of standard input is closed, and kill and delete what is left of the run."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    run_id, *last_command = arguments
    try:
        clean_up(run_id, patient=False)
    finally:
        if last_command:
            subprocess.run(last_command, check=False)


if __name__ == "__main__":
    main(sys.argv[1:])

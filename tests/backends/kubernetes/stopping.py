"""Commands as processes that are told to stop in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from container_component_src.processes import PROJECT_ROOT

DEADLINE = 300  # seconds


def stop_when(holds: Callable[[], object], arguments: list[str], environment: Mapping[str, str] = os.environ) -> str:
    """Send SIGTERM to a command as soon as something holds, and see that it ends with its code and without an error.

    Returns:
        What it wrote to stdout.
    """
    command = [sys.executable, "container_component_src/main.py", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=DEADLINE)
    assert (process.returncode, stderr) == (128 + signal.SIGTERM, "")
    return stdout

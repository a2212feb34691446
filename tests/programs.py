"""Programs of the operating system that tests start for real, such as a broker."""

import os
import shutil
from pathlib import Path

import psutil
import pytest

SYSTEM_PROGRAMS = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def program(name: str) -> Path:
    """Return the path of a program; skip the test where it is missing, but fail in CI, which has to run every test."""
    found = shutil.which(name, path=SYSTEM_PROGRAMS)
    if found:
        return Path(found)
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed. CI has to run this test: install Debian's package.")
    pytest.skip(f"{name} is not installed")


def is_running(pid: int) -> bool:
    """Whether a process has not ended; one whose parent ended first may stay as a zombie."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

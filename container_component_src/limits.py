"""CPU cores and memory available to this process."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import psutil

# How often a waiting thread of OpenMP spins before it sleeps. The default of 300,000 takes milliseconds: beside a busy
# process, it keeps the core from the thread that all wait for. It is read when torch is loaded.
SPIN_DEFAULTS = {"GOMP_SPINCOUNT": "10000"}
_CGROUP = Path("/sys/fs/cgroup")
_MOMENT = 0.2  # seconds, of each core 20 ticks of the clock by which the kernel counts
_RECENT = 10.0  # seconds; the load of the machine before that says little about now


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return the number of cores that CPU affinity and the container's CPU limit allow, at least 1.

    Args:
        cgroup: Mount point of the control group, version 2 (`cpu.max`) or 1 (`cpu.cfs_quota_us`).
    """
    allowed, limit = len(_cores()), _cgroup_limit(cgroup)
    return allowed if limit is None else max(1, min(allowed, int(limit)))


class CpuTimes(NamedTuple):
    """Seconds of cores, since some time in the past."""

    total: float
    idle: float
    own: float  # that this process used

    @classmethod
    def now(cls) -> "CpuTimes":
        """Return the sums over the cores that CPU affinity allows."""
        allowed = _cores()
        times = [core for number, core in enumerate(psutil.cpu_times(percpu=True)) if number in allowed]
        idle = sum(core.idle + getattr(core, "iowait", 0.0) for core in times)
        # Times of guests are part of the user's.
        total = sum(sum(core) - getattr(core, "guest", 0.0) - getattr(core, "guest_nice", 0.0) for core in times)
        return cls(total, idle, time.process_time())


def left_free(before: CpuTimes, after: CpuTimes, cores: int) -> float:
    """Return the cores that other processes left free in the meantime; all of them if no time was counted."""
    total = after.total - before.total
    if total <= 0:  # some sandboxes count nothing
        return float(cores)
    return min(1.0, (after.idle - before.idle + after.own - before.own) / total) * cores


def _cores() -> set[int]:
    """Return the numbers of the cores that CPU affinity allows."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


class Look(NamedTuple):
    """A look at the load of the machine."""

    at: float  # seconds of the monotonic clock
    times: CpuTimes
    free: float | None = None  # cores that others left free until then; None: it was the first


_last_look = Look(time.monotonic(), CpuTimes.now())


def free_cores() -> float:
    """Return how many of the cores that CPU affinity allows other processes leave free.

    It is measured since the last call or the start of this process, or over a moment if that is long ago.
    """
    global _last_look  # noqa: PLW0603 - the clocks are the machine's
    before, age = _last_look, time.monotonic() - _last_look.at
    if before.free is not None and age < _MOMENT:
        return before.free
    if age > _RECENT:
        before = Look(time.monotonic(), CpuTimes.now())
    time.sleep(max(0.0, before.at + _MOMENT - time.monotonic()))
    times = CpuTimes.now()
    free = left_free(before.times, times, len(_cores()))
    _last_look = Look(time.monotonic(), times, free)
    return free


def usable_memory(cgroup: Path = _CGROUP) -> int:
    """Return the machine's memory in bytes, or the container's limit if that is less.

    Args:
        cgroup: Mount point of the control group, version 2 (`memory.max`) or 1 (`limit_in_bytes`).
    """
    total = int(psutil.virtual_memory().total)
    for file in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        if file.is_file():
            limit = file.read_text().strip()
            return total if limit == "max" else min(total, int(limit))
    return total


def _cgroup_limit(cgroup: Path) -> float | None:
    """Return the CPU quota in cores, or None if there is none."""
    if (cgroup / "cpu.max").is_file():
        quota, period = (cgroup / "cpu.max").read_text().split()
    elif (cgroup / "cpu" / "cpu.cfs_quota_us").is_file():
        quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    else:
        return None
    return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)

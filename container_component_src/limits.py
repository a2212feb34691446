"""CPU cores and memory available to this process."""

import os
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return the number of cores that CPU affinity and the container's CPU limit allow, at least 1.

    Args:
        cgroup: Mount point of the control group, version 2 (`cpu.max`) or 1 (`cpu.cfs_quota_us`).
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _cgroup_limit(cgroup)
    return allowed if limit is None else max(1, min(allowed, int(limit)))


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

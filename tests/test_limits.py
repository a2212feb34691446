import os
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from container_component_src import limits
from container_component_src.limits import (
    SPIN_DEFAULTS,
    CpuTimes,
    Look,
    free_cores,
    left_free,
    usable_cores,
    usable_memory,
)
from container_component_src.processes import PROJECT_ROOT


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("150000 100000", 1), ("50000 100000", 1), ("400000 100000", 4), ("6400000 100000", 8)],
)
def test_cpu_quota_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("300000", 3)])
def test_cpu_quota_of_cgroup_version_1_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path) == expected


def test_without_a_quota_cpu_affinity_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 5})
    assert usable_cores(tmp_path) == 2


@pytest.mark.parametrize(
    ("idle", "own", "free"),
    [(8, 0, 4.0), (6, 2, 4.0), (6, 0, 3.0), (0, 2, 1.0), (0, 0, 0.0), (8, 1, 4.0)],
)
def test_cores_that_others_use_are_not_free(idle: float, own: float, free: float) -> None:
    """Two seconds of four cores; the clocks of cores and processes differ a little."""
    before = CpuTimes(total=1000, idle=500, own=7)
    assert left_free(before, CpuTimes(total=1008, idle=500 + idle, own=7 + own), 4) == free


def test_all_cores_are_free_if_no_time_is_counted() -> None:
    assert left_free(CpuTimes(0, 0, 1), CpuTimes(0, 0, 2), 4) == 4


class Core(NamedTuple):
    """Times of a core, of which psutil gives some on Linux alone."""

    user: float
    idle: float
    iowait: float
    guest: float


def test_times_are_those_of_the_cores_that_cpu_affinity_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = [Core(100.0 + number, 10.0, 1.0, 50.0) for number in range(4)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3})
    assert CpuTimes.now()[:2] == (2 * (100 + 2 + 11), 2 * 11)
    monkeypatch.setattr(limits, "_MOMENT", 0.0)
    monkeypatch.setattr(limits, "_last_look", Look(time.monotonic(), CpuTimes.now()))
    assert free_cores() == 2


@pytest.mark.parametrize(("seconds_ago", "free"), [(5, 1.0), (60, 2.0)])
def test_the_load_of_the_last_seconds_counts(seconds_ago: float, free: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores: others used one since the import of the module, and none in the moment of the call."""
    before, now = CpuTimes(total=990, idle=495, own=7), CpuTimes(total=1000, idle=500, own=7)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(limits, "_MOMENT", 0.0)
    monkeypatch.setattr(limits, "_last_look", Look(time.monotonic() - seconds_ago, before))
    monkeypatch.setattr(CpuTimes, "now", lambda: now)
    assert free_cores() == free


def test_looks_at_the_load_just_after_another_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_last_look", Look(time.monotonic(), CpuTimes(0, 0, 0), free=1.5))
    monkeypatch.setattr(limits, "_MOMENT", 3600.0)
    assert free_cores() == 1.5


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_container_limit_limits_the_memory(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("4096\n")
    assert usable_memory(tmp_path) == 4096


def test_without_a_limit_all_memory_is_usable(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory(tmp_path) == usable_memory(tmp_path / "elsewhere") == psutil.virtual_memory().total


def test_the_image_has_the_defaults_of_spinning() -> None:
    image = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8").split()
    assert {f"{name}={value}" for name, value in SPIN_DEFAULTS.items()} <= {*image}

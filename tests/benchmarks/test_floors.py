import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.floors import Files, Stopwatch, in_new_process, parquet_floor
from benchmarks.measure import PROJECT


def test_files_are_read_and_written_once_more_and_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.0, 2.0, 3.0]}), file, row_group_size=2)
    before = file.read_bytes()
    files = Files([file])
    scratch = tmp_path / "scratch.parquet"
    floor = parquet_floor([files, files], [files], scratch)
    assert set(floor) == {"read", "write"}
    assert min(floor.values()) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
    assert file.read_bytes() == before


def test_a_stage_that_only_reads_has_no_floor_of_writing(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.0], "y": [2.0]}), file)
    assert set(parquet_floor([Files([file], ["x"])], [], tmp_path / "scratch.parquet")) == {"read"}


def test_a_stopwatch_counts_its_blocks_alone() -> None:
    watch = Stopwatch()
    assert watch.seconds == 0
    with watch.running():
        pass
    once = watch.seconds
    with watch.running():
        pass
    assert watch.seconds > once > 0


def test_a_new_process_is_another_one() -> None:
    assert in_new_process("os:getpid") != os.getpid()


@pytest.mark.slow
def test_a_measuring_process_ends_with_a_killed_benchmark() -> None:
    program = "from benchmarks.floors import in_new_process; in_new_process('time:sleep', 600)"
    with subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT) as benchmark:
        measuring: list[psutil.Process] = []
        while len(measuring) < 2:  # the resource tracker of multiprocessing and the process that measures
            assert benchmark.poll() is None
            measuring = psutil.Process(benchmark.pid).children()
            time.sleep(0.05)
        benchmark.kill()
    _, alive = psutil.wait_procs(measuring, timeout=60)
    assert not alive

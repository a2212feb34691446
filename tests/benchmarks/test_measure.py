import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import MemorySampler, Usage, high_water_mark, run_command
from container_component_src.errors import StepError

MEBIBYTE = 2**20
PARENT = """
import subprocess, sys
own = b"x" * (120 << 20)
subprocess.run([sys.executable, "-c", "import time; own = b'x' * (80 << 20); time.sleep(1.5)"])
"""


def test_memory_of_descendants_counts_in_the_tree_but_not_in_the_largest_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", PARENT])
    sampler = MemorySampler(process.pid)
    sampler.start()
    process.wait()
    sampler.stop()
    assert 120 * MEBIBYTE <= sampler.process_bytes < 180 * MEBIBYTE
    assert sampler.tree_bytes >= 200 * MEBIBYTE


def test_a_process_that_is_gone_has_no_high_water_mark() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert high_water_mark(process.pid) == 0


def test_usages_of_commands_after_each_other() -> None:
    assert Usage(1.0, 30, 20, 0.5) + Usage(2.0, 10, 25, 0.25) == Usage(3.0, 30, 25, 0.75)


def test_a_command_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(StepError, match=r"fit_scaler ended with exit code 2: .*no such dataset"):
        run_command(["fit_scaler", "--train-df-path", "absent", "--scaler-path", "scaler.json"], log)
    assert "no such dataset" in log.read_text()

"""The program behind `make bench`; `--help` says more."""

import sys
from pathlib import Path

if __name__ == "__main__":  # floors are measured in processes that import this module, and should import no more
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.cli import bench

    bench()

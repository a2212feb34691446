"""Folder for one size of telemetry, with the inputs and outputs of all stages."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.floors import Files
from container_component_src.telemetry.columns import columns_of
from container_component_src.telemetry.dataset import Dataset

TIMESTAMP_COL = "normalizedTime"
ANOMALIES = 20
TEST_SHARE, BLOCKS = 0.1, 400  # of the period, so that the split is the same for each size
BYTES_PER_VALUE, COPIES = 4, 4  # maximum number of datasets on the disk, with the archives and the file of a floor
NANOSECONDS_PER_HOUR = 3600 * 10**9


@dataclass(frozen=True)
class Workspace:
    """Folder for one size of telemetry."""

    root: Path
    rows: int
    channels: int
    epochs: int

    @property
    def needed_bytes(self) -> int:
        """Maximum disk space of the stages, in bytes."""
        return COPIES * BYTES_PER_VALUE * self.rows * self.channels

    @cached_property
    def archives(self) -> list[Path]:
        """Paths of the generated archives."""
        return sorted((self.root / "example" / "telemetry").glob("*.parquet"))

    def path(self, name: str) -> str:
        """Return the path of a file or folder in the workspace, as an argument of a command."""
        return str(self.root / name)

    def splits(self) -> list[Path]:
        """Return the folder of the partitions of each archive."""
        return [self.root / "split" / archive.stem for archive in self.archives]

    def files(self, *datasets: str, columns: Sequence[str] | None = None) -> Files:
        """Return the partitions of datasets, and those of the dataset that a view names."""
        opened = [Dataset.open(self.path(name)) for name in datasets]
        paths = [
            Path(dataset.folders[-1].path) / partition.file
            for dataset in opened
            for partition in dataset.manifest.partitions
        ]
        return Files([*dict.fromkeys(paths)], columns)  # views share files

    @cached_property
    def telemetry_columns(self) -> list[str]:
        """Timestamp column and channels of the archives."""
        schema = pq.read_schema(self.archives[0])
        return [TIMESTAMP_COL, *columns_of(schema, TIMESTAMP_COL).channels]

    def split_hours(self) -> tuple[float, float]:
        """Return window and block length in hours for the period of the dataset."""
        partitions = Dataset.open(self.path("dataset")).manifest.partitions
        covered = sum(partition.end - partition.start for partition in partitions) / NANOSECONDS_PER_HOUR
        return round(TEST_SHARE * covered / (2 * ANOMALIES), 4), round(covered / BLOCKS, 4)

    def remove(self, *names: str) -> None:
        """Delete folders that no later stage reads."""
        for name in names:
            shutil.rmtree(self.root / name, ignore_errors=True)

"""Data sets to compare detectors on: folders of telemetry with reports, and the generated example."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from distributed import Client

from container_component_src.dask_preprocessor.preprocessor import preprocess
from container_component_src.errors import InputError
from container_component_src.example_data import ExampleDataSpec, generate
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.archive_files import archive_name, find_archives
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.labels import label_dataset
from container_component_src.telemetry.partitioning import split_archive
from container_component_src.telemetry.smoothing import median_step
from container_component_src.telemetry.views import MANIFEST_NAME

EXAMPLE = "example"
TIMESTAMP_COL = "normalizedTime"
# Hours of the window around events and of a block, by the first part of the name: time scales that suit the data.
TIME_SCALES = {"skab": (0.1, 0.1), "asd": (12.0, 6.0), "tep": (8.0, 2.0), "batadal": (24.0, 24.0), EXAMPLE: (12.0, 6.0)}
EXCLUDED_CHANNELS = {"skab": ("sample_counter",)}  # by the first part of the name
WINDOW_STEPS, BLOCK_STEPS = 150, 75  # median time steps, for data that has no time scale above
NANOSECONDS_PER_HOUR = 3600 * 10**9


@dataclass(frozen=True)
class TelemetryFolder:
    """Archives in `telemetry/`, `anomaly_reports.*`, and perhaps `causes.csv` with the columns ID and CHANNELS."""

    name: str  # path below the folder of all data sets
    root: Path

    @property
    def group(self) -> str:
        """First part of the name; the data sets of a group count as one."""
        return self.name.partition("/")[0]

    def reports(self, folder: Path) -> Path:
        """Return the path of the reports; with causes, of a copy in a folder that has them as a column."""
        table = next(self.root.glob("anomaly_reports.*"))
        causes = self.root / "causes.csv"
        if not causes.exists():
            return table
        read = pd.read_csv if table.suffix == ".csv" else pd.read_excel
        copy = folder / "anomaly_reports.xlsx"
        read(table, dtype=str).merge(pd.read_csv(causes, dtype=str), on="ID", how="left").to_excel(copy, index=False)
        return copy


@dataclass(frozen=True)
class Prepared:
    """A dataset with its label series, which all seeds share."""

    source: TelemetryFolder
    dataset: str
    labels: str
    window_hours: float
    block_hours: float


def find(root: Path) -> list[TelemetryFolder]:
    """Return the data sets below a folder, by name.

    Raises:
        InputError: There is none.
    """
    folders = sorted(
        {table.parent for table in root.rglob("anomaly_reports.*") if (table.parent / "telemetry").is_dir()}
    )
    if not folders:
        raise InputError(
            f"{root}: no data set", fix="name a folder of folders with archives in telemetry/ and anomaly_reports.xlsx"
        )
    return [TelemetryFolder(folder.relative_to(root).as_posix(), folder) for folder in folders]


def example(folder: Path, rows: int) -> TelemetryFolder:
    """Return the generated example, made if it is not there: the first rows of both years at the usual cadence."""
    root = folder / f"{EXAMPLE}-{rows}"
    if not (root / "anomaly_reports.xlsx").exists():  # which is written last
        generate(root, ExampleDataSpec(seed=42, rows=rows), TIMESTAMP_COL)
    return TelemetryFolder(EXAMPLE, root)


def prepare(source: TelemetryFolder, folder: Path) -> Prepared:
    """Run the steps that do not depend on a seed, unless a folder has their outputs already."""
    dataset, labels = (folder / source.name / part for part in ("dataset", "labels"))
    if not (labels / MANIFEST_NAME).exists():
        folders = []
        for archive in find_archives(str(source.root / "telemetry")):
            folders.append(str(folder / source.name / "partitions" / archive_name(archive)))
            split_archive(archive.uri, folders[-1], TIMESTAMP_COL, exclude=EXCLUDED_CHANNELS.get(source.group, ()))
        with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
            preprocess(folders, str(dataset), TIMESTAMP_COL, 1.0, "", client)
        reports = source.reports(folder / source.name)
        label_dataset(str(dataset), str(reports), str(labels), ReportColumns(), strict=False)
    return Prepared(source, str(dataset), str(labels), *time_scale(source.group, Dataset.open(str(dataset))))


def time_scale(group: str, dataset: Dataset) -> tuple[float, float]:
    """Return the hours of the window around events and of a block."""
    if group in TIME_SCALES:
        return TIME_SCALES[group]
    step = median_step(next(dataset.frames(channels=())).timestamps) or NANOSECONDS_PER_HOUR
    return step * WINDOW_STEPS / NANOSECONDS_PER_HOUR, step * BLOCK_STEPS / NANOSECONDS_PER_HOUR


def all_of(root: Path | None, work: Path, example_rows: int) -> Iterator[TelemetryFolder]:
    """Yield the data sets below a folder, if one is given, and the example, if it has rows."""
    if root is not None:
        yield from find(root)
    if example_rows:
        yield example(work, example_rows)

"""Generation of the example archives and the anomaly reports."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.example_data.anomalies import NS_PER_S, Event, Faults, draw_kinds, schedule
from container_component_src.example_data.anomaly_reports import report_table
from container_component_src.example_data.channels import select_channels
from container_component_src.example_data.grid import Grid
from container_component_src.example_data.physics import simulate
from container_component_src.example_data.sensors import Sensors
from container_component_src.example_data.spec import ExampleDataSpec
from container_component_src.example_data.timeline import Timeline, plan_timeline
from container_component_src.steps.data import ReportColumns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GeneratedData:
    """Paths of the written files.

    Attributes:
        archives: Parquet archives `telemetry/<year>.parquet`, sorted by year.
        reports: Table of the anomaly reports, `anomaly_reports.xlsx`.
    """

    archives: list[Path]
    reports: Path


def generate(
    target: Path,
    spec: ExampleDataSpec,
    timestamp_col: str = "normalizedTime",
    report_columns: ReportColumns | None = None,
) -> GeneratedData:
    """Write the example data below a local directory, one file after the other.

    The same arguments give the same values. Existing files with the same names are replaced; other files, such as
    archives of other years, are kept. Memory depends on the period of an archive and the size of a row group, not on
    the number of rows.

    Args:
        target: Local directory, which is created if it does not exist.
        spec: Sizes, years and seed.
        timestamp_col: Name of the timestamp column (nanoseconds, UTC).
        report_columns: Headers of the report table.

    Raises:
        InputError: There are more rows than milliseconds in a year.
        OSError: A file cannot be written; no partial file remains.
    """
    telemetry = target / "telemetry"
    result = GeneratedData(
        [telemetry / f"{year}.parquet" for year in sorted(spec.years)], target / "anomaly_reports.xlsx"
    )
    timelines = [plan_timeline(spec.seed, year, spec.share(spec.rows, i)) for i, year in enumerate(sorted(spec.years))]
    schedules = _plan_events(spec, timelines)
    for year, path, timeline, events in zip(sorted(spec.years), result.archives, timelines, schedules, strict=True):
        with storage.resolve(str(path)).open_output() as file:
            _write_archive(file, spec, year, timeline, events, timestamp_col)
        logger.info("%s: %d rows, %d channels, %d anomalies", path, timeline.rows, spec.channels, len(events))
    table = report_table([event for events in schedules for event in events], report_columns or ReportColumns())
    with storage.resolve(str(result.reports)).open_output() as file:
        table.to_excel(file, index=False, engine="openpyxl")
    return result


def _plan_events(spec: ExampleDataSpec, timelines: list[Timeline]) -> list[list[Event]]:
    """Return the events of each archive."""
    kinds, severities = draw_kinds(spec.seed, spec.anomalies)
    schedules, first = [], 0
    for position, (year, timeline) in enumerate(zip(sorted(spec.years), timelines, strict=True)):
        last = first + spec.share(spec.anomalies, position)
        schedules.append(schedule(spec.seed, year, timeline, kinds[first:last], severities[first:last]))
        first = last
    return schedules


def _write_archive(
    file: IO[bytes], spec: ExampleDataSpec, year: int, timeline: Timeline, events: list[Event], timestamp_col: str
) -> None:
    grid = Grid(spec.seed, year, timeline.start_ns / NS_PER_S, timeline.end_ns / NS_PER_S)
    signals = simulate(grid, Faults(events, grid.time_s))
    sensors = Sensors(spec.seed, year, select_channels(spec.channels), timeline, grid, signals, timestamp_col)
    with pq.ParquetWriter(file, sensors.schema, compression="zstd", compression_level=1) as writer:
        for table in regroup(sensors.tables(), spec.row_group_rows):
            writer.write_table(table, row_group_size=spec.row_group_rows)


def regroup(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of `tables` in tables of `rows` rows; only the last one may be shorter."""
    pending: pa.Table | None = None
    for table in tables:
        pending = table if pending is None else pa.concat_tables([pending, table])
        while pending.num_rows >= rows:
            yield pending.slice(0, rows)
            pending = pending.slice(rows)
    if pending is not None and pending.num_rows:
        yield pending

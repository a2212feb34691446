"""Preprocessing on Dask: from raw partitions to one dataset of float32 channels.

Each worker reads one file at a time, keeps the float channels, draws the sample and writes a partition of the output;
the client gets only the description of the partition. The sample is drawn by a hash of each timestamp, so it does not
depend on how the telemetry was split into files, nor on which worker did the work.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from distributed import Client, Worker, as_completed

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.telemetry.archive import (
    DAMAGED,
    check_same_channels,
    checked_timestamps,
    float_channels,
    open_archive,
)
from container_component_src.telemetry.dataset import Dataset, Frame, Partition, check_disjoint, values_of
from container_component_src.telemetry.dataset_writer import DatasetWriter, write_partition
from container_component_src.telemetry.hashing import uniform
from container_component_src.telemetry.parquet import readable

logger = logging.getLogger(__name__)

SAMPLING_SEED = 0  # fixed, so that every run draws the same sample
IDLE_SECONDS = 60.0  # time for which a failed step waits until workers finish their current partition


@dataclass(frozen=True)
class PartitionTask:
    """Order to a worker to create one partition; small, because it is sent over the network."""

    source_uri: str
    target_uri: str  # file of the partition
    endpoint: str
    timestamp_col: str
    channels: tuple[str, ...]
    sample_frac: float


@dataclass(frozen=True)
class PartitionResult:
    """Report of a worker."""

    partition: Partition | None  # None if the sample has no row of the file
    missing: dict[str, int]  # number of missing values by channel, without zeros


def preprocess(
    paths: Sequence[str], target_uri: str, timestamp_col: str, sample_frac: float, endpoint: str, client: Client
) -> Dataset:
    """Create one dataset from many files of raw telemetry.

    Args:
        paths: Folders written by the split, or parquet files.
        target_uri: Folder of the dataset.
        timestamp_col: Name of the timestamp column.
        sample_frac: Share of rows to keep, in (0, 1].
        endpoint: S3 endpoint that overrides that of the environment, or "".
        client: Client of the Dask cluster that does the work.

    Returns:
        The dataset.

    Raises:
        InputError: A file is not a valid archive, channels differ between files, timestamps do not increase strictly
            within or across files, or no row is left.
    """
    files = list(_input_files(paths, endpoint))
    if not files:
        raise InputError("no partitions were given", fix="give at least one with --partitioned-telemetry-paths")
    with open_archive(files[0], timestamp_col) as first:
        channels = float_channels(first.schema_arrow, timestamp_col)
    folders = [storage.resolve(path, endpoint) for path in paths]
    with DatasetWriter(target_uri, timestamp_col, channels, endpoint, sources=folders) as target:
        tasks = [
            PartitionTask(file.uri, target.file(index).uri, endpoint, timestamp_col, channels, sample_frac)
            for index, file in enumerate(files)
        ]
        results = _run(client, tasks)
        # Archives may be given in any order; the dataset is sorted by time.
        created = [(result.partition, file) for result, file in zip(results, files, strict=True) if result.partition]
        created.sort(key=lambda item: item[0].start)
        check_disjoint((file.uri, partition.start, partition.end) for partition, file in created)
        for partition, _ in created:
            target.add(partition)
        missing = sum((Counter(result.missing) for result in results), Counter[str]())
        return target.commit(missing=dict(missing), notes={"sample_frac": sample_frac})


def preprocess_partition(task: PartitionTask) -> PartitionResult:
    """Create one partition; runs on a worker."""
    source = storage.resolve(task.source_uri, task.endpoint)
    with open_archive(source, task.timestamp_col) as archive:
        channels = float_channels(archive.schema_arrow, task.timestamp_col)
        check_same_channels(source.uri, channels, task.channels, "the first file")
        with readable(source, DAMAGED):
            table = archive.read(columns=[task.timestamp_col, *channels])
    timestamps = checked_timestamps(table.column(task.timestamp_col), f"{source.uri}: column '{task.timestamp_col}'")
    frame = Frame(timestamps, values_of(table, channels))
    del table
    if task.sample_frac < 1:
        frame = frame.where(uniform(timestamps, SAMPLING_SEED) < task.sample_frac)
    finite = np.isfinite(frame.values)
    missing = {name: int(count) for name, count in zip(channels, (~finite).sum(axis=0), strict=True) if count}
    if missing:
        frame.values[~finite] = np.nan
    if not len(frame):
        return PartitionResult(None, {})
    target = storage.resolve(task.target_uri, task.endpoint)
    return PartitionResult(write_partition(target, task.timestamp_col, channels, frame), missing)


def _run(client: Client, tasks: Sequence[PartitionTask]) -> list[PartitionResult]:
    """Return all results in the order of the tasks; the first error cancels the rest."""
    futures = client.map(preprocess_partition, tasks, pure=False, retries=0)
    try:
        for done, future in enumerate(as_completed(futures), start=1):
            if future.status == "error":
                future.result()
            if done == len(futures) or done % max(1, len(futures) // 10) == 0:
                logger.info("%d of %d partitions done", done, len(futures))
        results: list[PartitionResult] = client.gather(futures)
    except BaseException:
        client.cancel(futures)
        _wait_until_idle(client)  # a cancelled task still writes its file, which must be removed too
        raise
    return results


def _wait_until_idle(client: Client) -> None:
    deadline = time.monotonic() + IDLE_SECONDS
    while any(client.run(_running_tasks, on_error="ignore").values()) and time.monotonic() < deadline:
        time.sleep(0.05)


def _running_tasks(dask_worker: Worker) -> int:
    return int(dask_worker.state.executing_count)


def _input_files(paths: Sequence[str], endpoint: str) -> Iterator[Location]:
    for path in paths:
        if path.endswith(".parquet"):
            yield storage.resolve(path, endpoint)
        else:
            split = Dataset.open(path, endpoint)
            yield from (split.location / partition.file for partition in split.manifest.partitions)

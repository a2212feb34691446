"""Preprocessing on Dask: from raw partitions to one dataset of float32 channels.

Each worker reads one file, or some row groups of an archive, at a time, keeps the channels, draws the sample and writes
a partition of the output; the client gets only the description of the partition. The sample is drawn by a hash of each
timestamp, so it does not depend on how the telemetry was split, nor on which worker did the work.
"""

import glob
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from distributed import Client, Worker, as_completed

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.telemetry.archive import (
    checked_timestamps,
    log_left_out,
    open_archive,
    warn_of_rounding,
)
from container_component_src.telemetry.arrow import finite_floats, to_arrow
from container_component_src.telemetry.columns import EXCLUDED, check_columns, greatest_magnitudes
from container_component_src.telemetry.dataset import WRITE_AGAIN, Dataset, check_content
from container_component_src.telemetry.dataset_writer import DatasetWriter, write_partition
from container_component_src.telemetry.hashing import uniform
from container_component_src.telemetry.manifest import Partition, check_disjoint

logger = logging.getLogger(__name__)

SAMPLING_SEED = 0  # fixed, so that every run draws the same sample
# The scheduler knows this many partitions at once, so that its memory does not grow with their number. Workers are idle
# for the last partition of each such part.
TASKS_AT_ONCE = 10_000
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
    expected: Partition | None = None  # what the manifest of the split says of the rows
    exclude: tuple[str, ...] = ()  # columns that are not channels


@dataclass(frozen=True)
class PartitionResult:
    """Report of a worker."""

    partition: Partition | None  # None if the sample has no row of the file
    missing: dict[str, int]  # number of missing values by channel, without zeros
    greatest: dict[str, float]  # greatest magnitude in the file, by channel of whole numbers


@dataclass(frozen=True)
class _Source:
    """Raw telemetry that one worker reads: a file, or the row groups of it that `expected` names."""

    file: Location
    archive: str  # of which it is a part
    expected: Partition | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()  # columns that an archive has although they are excluded


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
    sources = list(_sources(paths, endpoint))
    if not sources:
        raise InputError("no partitions were given", fix="give at least one with --partitioned-telemetry-paths")
    with open_archive(sources[0].file, timestamp_col, sources[0].exclude) as first:
        channels, left_out = first.channels, dict(first.columns.left_out)
    folders = [storage.resolve(path, endpoint) for path in paths]
    with DatasetWriter(target_uri, timestamp_col, channels, endpoint, sources=folders) as target:
        tasks = (
            PartitionTask(
                source_uri=source.file.uri,
                target_uri=target.file(index).uri,
                endpoint=endpoint,
                timestamp_col=timestamp_col,
                channels=channels,
                sample_frac=sample_frac,
                expected=source.expected,
                exclude=source.exclude,
            )
            for index, source in enumerate(sources)
        )
        created: list[tuple[Partition, str]] = []
        missing: Counter[str] = Counter()
        greatest: dict[str, float] = {}
        for index, result in _run(client, tasks, len(sources)):
            missing.update(result.missing)
            greatest |= {name: max(value, greatest.get(name, 0)) for name, value in result.greatest.items()}
            if result.partition:
                created.append((result.partition, sources[index].archive))
        # Archives may be given in any order; the dataset is sorted by time.
        created.sort(key=lambda item: item[0].start)
        check_disjoint((archive, partition.start, partition.end) for partition, archive in created)
        for partition, _ in created:
            target.add(partition)
        for source in sources:
            left_out |= source.left_out
        log_left_out(target_uri, left_out)
        warn_of_rounding(target_uri, greatest)
        return target.commit(missing=dict(missing), left_out=left_out, notes={"sample_frac": sample_frac})


def preprocess_partition(task: PartitionTask) -> PartitionResult:
    """Create one partition; runs on a worker."""
    source = storage.resolve(task.source_uri, task.endpoint)
    ranges = task.expected.ranges if task.expected else ()
    with open_archive(source, task.timestamp_col, task.exclude) as archive:
        check_columns(source.uri, archive.columns, task.channels, "the first file")
        channels = task.channels
        # Without those that the file no longer has; then other rows are found than expected.
        groups = [group for ends in ranges for group in range(archive.table.parts)[slice(*ends)]]
        table = archive.table.read([task.timestamp_col, *channels], groups if ranges else None)
        greatest = greatest_magnitudes(table, archive.columns.whole)
    timestamps = checked_timestamps(table.column(task.timestamp_col), f"{source.uri}: column '{task.timestamp_col}'")
    if task.expected:
        check_content(source, task.expected, timestamps)
    if task.sample_frac < 1:
        drawn = np.flatnonzero(uniform(timestamps, SAMPLING_SEED) < task.sample_frac)
        timestamps, table = timestamps[drawn], table.take(to_arrow(drawn))
    if not len(timestamps):
        return PartitionResult(None, {}, greatest)
    columns, missing = {}, {}
    for name in channels:
        columns[name], count = finite_floats(table.column(name))
        if count:
            missing[name] = count
    target = storage.resolve(task.target_uri, task.endpoint)
    return PartitionResult(write_partition(target, task.timestamp_col, timestamps, columns), missing, greatest)


def _run(client: Client, tasks: Iterator[PartitionTask], count: int) -> Iterator[tuple[int, PartitionResult]]:
    """Yield the index and the result of each of `count` tasks as they complete; the first error cancels the rest."""
    for first in range(0, count, TASKS_AT_ONCE):
        futures = client.map(preprocess_partition, list(islice(tasks, TASKS_AT_ONCE)), pure=False, retries=0)
        indices = {future.key: index for index, future in enumerate(futures, start=first)}
        try:
            for done, (future, result) in enumerate(as_completed(futures, with_results=True), start=first + 1):
                yield indices[future.key], result
                if done == count or done % max(1, count // 10) == 0:
                    logger.info("%d of %d partitions done", done, count)
        except BaseException:
            client.cancel(futures)
            _wait_until_idle(client)  # a cancelled task still writes its file, which must be removed too
            raise


def _wait_until_idle(client: Client) -> None:
    deadline = time.monotonic() + IDLE_SECONDS
    while any(client.run(_running_tasks, on_error="ignore").values()) and time.monotonic() < deadline:
        time.sleep(0.05)


def _running_tasks(dask_worker: Worker) -> int:
    return int(dask_worker.state.executing_count)


def _sources(paths: Sequence[str], endpoint: str) -> Iterator[_Source]:
    for path in paths:
        if path.endswith(".parquet"):
            file = storage.resolve(path, endpoint)
            yield _Source(file, file.uri)
        else:
            split = Dataset.open(path, endpoint)
            known = split.manifest
            archive = str(known.notes.get("archive", split.location.uri))
            # Names as patterns of themselves alone.
            exclude = tuple(glob.escape(name) for name, reason in known.left_out.items() if reason == EXCLUDED)
            named = storage.resolve(known.archive, endpoint) if known.archive else None
            if named and named.is_file() and named.fingerprint() != known.fingerprint:
                raise InputError(f"{named.uri}: changed after {path} was made", fix=WRITE_AGAIN)
            for partition in known.partitions:
                yield _Source(named or split.location / partition.file, archive, partition, known.left_out, exclude)

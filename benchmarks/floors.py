"""Floors: lower bounds for the time of a stage, by direct use of the libraries."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src.telemetry.dataset_writer import WRITE_OPTIONS


@dataclass(frozen=True)
class Files:
    """Parquet files that a stage reads or writes."""

    paths: Sequence[Path]
    columns: Sequence[str] | None = None  # columns that it reads; None: all
    options: Mapping[str, Any] = field(default_factory=lambda: WRITE_OPTIONS)  # options with which it writes


class Stopwatch:
    """Sum of the times of `with` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the time of a block."""
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start


def seconds_of(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_new_process(function: str, *arguments: object) -> Any:
    """Call a function in a new process, independent of the memory, threads and imports of earlier calls.

    Args:
        function: Module and name as `package.module:name`; this process does not import it.
        arguments: Arguments of the function.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_call, function, *arguments).result()


def _call(function: str, *arguments: object) -> Any:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return resolve_name(function)(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the parent has ended, even if it was killed


def parquet_floor(reads: Sequence[Files], writes: Sequence[Files], scratch: Path) -> dict[str, float]:
    """Return the seconds in which pyarrow reads the input and writes the output of a stage.

    Args:
        reads: Input of the stage.
        writes: Output of the stage; each file is written again with the same options and row groups.
        scratch: Temporary file, which is removed.
    """
    floor = {}
    if reads:
        floor["read"] = sum(_read_seconds(path, files.columns) for files in reads for path in files.paths)
    if writes:
        floor["write"] = sum(_write_seconds(path, files.options, scratch) for files in writes for path in files.paths)
    return floor


def _read_seconds(path: Path, columns: Sequence[str] | None) -> float:
    watch = Stopwatch()
    with watch.running(), pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=None if columns is None else list(columns))
    return watch.seconds


def _write_seconds(path: Path, options: Mapping[str, Any], scratch: Path) -> float:
    watch = Stopwatch()
    with pq.ParquetFile(path) as file:
        with watch.running():
            writer = pq.ParquetWriter(scratch, file.schema_arrow, **options)
        for group in range(file.num_row_groups):
            table: pa.Table = file.read_row_group(group)
            with watch.running():
                writer.write_table(table, row_group_size=table.num_rows)
        with watch.running():
            writer.close()
    scratch.unlink()
    return watch.seconds

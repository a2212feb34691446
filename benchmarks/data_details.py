"""Parts of the data stages, measured in memory."""

from collections.abc import Iterable, Iterator
from statistics import median

import numpy as np

from benchmarks.floors import seconds_of
from benchmarks.results import Detail
from benchmarks.workspace import Workspace
from container_component_src.arrays import Float32Array
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.events import Event, inside_any
from container_component_src.telemetry.scaling import load_scaler

REPEATS = 5
LABELLED_ROWS, EVENTS = 1_000_000, 20
COPIED_ROWS = 200_000
SECOND = 10**9


def labels(work: Workspace) -> list[Detail]:
    """Labels of a million timestamps."""
    timestamps = np.arange(LABELLED_ROWS, dtype=np.int64) * SECOND
    seconds = median(seconds_of(lambda: inside_any(timestamps, made_up_events())) for _ in range(REPEATS))
    return [Detail(f"labels of timestamps with {EVENTS} events", LABELLED_ROWS, seconds, "s")]


def scaling(work: Workspace) -> list[Detail]:
    """The arithmetic of scaling against a copy of the same memory."""
    scaler = load_scaler(work.path("scaler.json"))
    values = first_rows(Dataset.open(work.path("train")), COPIED_ROWS)[:, : len(scaler.channels)].copy()
    target = np.empty_like(values)
    pairs = [
        (seconds_of(lambda: scaler.transform(values)), seconds_of(lambda: np.copyto(target, values)))
        for _ in range(REPEATS)
    ]
    return [Detail("scaling in memory, as a multiple of copying", len(values), median_ratio(pairs), "ratio")]


def made_up_events() -> list[Event]:
    """Events spread over the labelled rows."""
    length = LABELLED_ROWS * SECOND // EVENTS
    return [Event(id=str(i), start=i * length + length // 2, end=i * length + length * 3 // 5) for i in range(EVENTS)]


def first_rows(dataset: Dataset, count: int) -> Float32Array:
    """The first rows of a dataset, at most `count`."""

    def parts() -> Iterator[Frame]:
        rows = 0
        for partition in dataset.manifest.partitions:
            if rows < count:
                yield dataset.read(partition)
                rows += partition.rows

    return np.concatenate([frame.values for frame in parts()])[:count]


def median_ratio(
    pairs: Iterable[tuple[float, float]],
) -> float:
    """Median of left by right; of pairs that were measured one after the other."""
    return median(left / right for left, right in pairs)

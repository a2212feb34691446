"""Training, validation and test sets: time around anomalies is tested, blocks of other time train and validate.

Consecutive rows of telemetry are nearly equal, so rows that are drawn one by one for validation would leak training
data. Blocks of time are drawn instead, by a seeded hash of the block's number: the draw needs no other row and does not
depend on the partitions.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from container_component_src.errors import InputError
from container_component_src.steps.data import SplitRule
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, inside_any
from container_component_src.telemetry.hashing import uniform


def assign(frame: Frame, events: tuple[Event, ...], rule: SplitRule) -> dict[str, Frame]:
    """Divide rows into training, validation and test sets, each in order; only the test set keeps its labels.

    Args:
        frame: The rows.
        events: All reported events. One without a row of its own, in a gap or just outside of the data, still has
            rows near it that are not nominal.
        rule: Which rows go where.
    """
    test = inside_any(frame.timestamps, events, _nanoseconds(rule.window_hours))
    blocks = frame.timestamps // _nanoseconds(rule.block_hours)
    val = ~test & (uniform(blocks, rule.seed) < rule.val_fraction)
    unlabelled = Frame(frame.timestamps, frame.values)
    return {"train": unlabelled.where(~test & ~val), "val": unlabelled.where(val), "test": frame.where(test)}


def split_dataset(dataset_uri: str, labels_uri: str, targets: dict[str, str], rule: SplitRule) -> dict[str, Dataset]:
    """Write the training, validation and test sets.

    Args:
        dataset_uri: The telemetry.
        labels_uri: Label series of the telemetry.
        targets: Folder of each of "train", "val" and "test".
        rule: Which rows go where.

    Raises:
        InputError: The labels are of other data, or one of the sets is empty.
    """
    dataset, labels = Dataset.open(dataset_uri), Dataset.open(labels_uri)
    events, rowless = labels.manifest.events, labels.manifest.events_without_rows
    with ExitStack() as stack:
        writers: dict[str, DatasetWriter] = {}
        for name, uri in targets.items():
            taken = [dataset.location, labels.location, *(writer.location for writer in writers.values())]
            writer = DatasetWriter(uri, dataset.manifest.timestamp_col, dataset.channels, sources=taken)
            writers[name] = stack.enter_context(writer)
        rows = dict.fromkeys(writers, 0)
        for frame in _labelled(dataset, labels):
            for name, subset in assign(frame, (*events, *rowless), rule).items():
                writers[name].write(subset)
                rows[name] += len(subset)
        _check_none_empty(rows, dataset_uri)
        notes = {"window_hours": rule.window_hours, "block_hours": rule.block_hours, "seed": rule.seed}
        return {
            name: writer.commit(events=events if name == "test" else (), notes=notes)
            for name, writer in writers.items()
        }


def _labelled(dataset: Dataset, labels: Dataset) -> Iterator[Frame]:
    """Yield the rows of a dataset with their labels."""
    if dataset.manifest.partitions and len(dataset.manifest.partitions) == len(labels.manifest.partitions):
        for frame, series in zip(dataset.frames(), labels.frames(), strict=True):
            if not np.array_equal(frame.timestamps, series.timestamps):
                break
            yield Frame(frame.timestamps, frame.values, series.labels)
        else:
            return
    raise InputError(
        f"{labels.location.uri}: labels of other data than {dataset.location.uri}", fix="label this dataset again"
    )


def _check_none_empty(rows: dict[str, int], uri: str) -> None:
    fixes = {
        "train": "make the window or the validation fraction smaller",
        "val": "make the blocks shorter or the validation fraction larger",
        "test": "make the window larger",
    }
    for name, count in rows.items():
        if not count:
            raise InputError(f"{uri}: the split leaves {name} empty ({rows})", fix=fixes[name])


def _nanoseconds(hours: float) -> int:
    return round(hours * 3600 * 10**9)

"""Training, validation and test sets: time around anomalies is tested, blocks of other time train and validate.

Consecutive rows of telemetry are nearly equal, so rows that are drawn one by one for validation would leak training
data. Blocks of time are drawn instead (`blocks.py`).
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from container_component_src.errors import InputError
from container_component_src.steps.data import SplitRule
from container_component_src.telemetry.blocks import BlockDraw, nanoseconds
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, inside_any

logger = logging.getLogger(__name__)


def assign(frame: Frame, events: tuple[Event, ...], draw: BlockDraw) -> dict[str, Frame]:
    """Divide rows into training, validation and test sets, each in order; only the test set keeps its labels.

    Args:
        frame: The rows.
        events: All reported events. One without a row of its own, in a gap or just outside of the data, still has
            rows near it that are not nominal.
        draw: Which of the other rows validate, and the length of the windows around events.
    """
    test = inside_any(frame.timestamps, events, nanoseconds(draw.rule.window_hours))
    val = ~test & draw.validates(frame.timestamps)
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
    partitions = dataset.manifest.partitions
    draw = BlockDraw.over((partitions[0].start, partitions[-1].end), (*events, *rowless), rule)
    with ExitStack() as stack:
        writers: dict[str, DatasetWriter] = {}
        for name, uri in targets.items():
            taken = [dataset.location, labels.location, *(writer.location for writer in writers.values())]
            writer = DatasetWriter(uri, dataset.manifest.timestamp_col, dataset.channels, sources=taken)
            writers[name] = stack.enter_context(writer)
        rows = dict.fromkeys(writers, 0)
        for frame in _labelled(dataset, labels):
            for name, subset in assign(frame, (*events, *rowless), draw).items():
                writers[name].write(subset)
                rows[name] += len(subset)
        _check_none_empty(rows, dataset_uri)
        val_share = rows["val"] / (rows["train"] + rows["val"])
        _warn_of_share(dataset_uri, val_share, draw)
        notes = {**rule.model_dump(include={*SplitRule.model_fields}), "val_share": round(val_share, 4)}
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


def _warn_of_share(uri: str, val_share: float, draw: BlockDraw) -> None:
    """Log if validation has too many or too few of the rows, or if blocks are much shorter than was asked for."""
    rule, hours = draw.rule, draw.length / nanoseconds(1)
    tolerance = min(rule.val_fraction, 1 - rule.val_fraction) / 4
    deviation = abs(val_share - rule.val_fraction)
    if deviation > tolerance:
        logger.warning(
            "%s: validation has %.3g of the rows beside the test set instead of %g, because the data has gaps or "
            "changes its rate; try block_hours of %.2g or less",
            uri, val_share, rule.val_fraction, hours * tolerance / deviation / 2,
        )  # fmt: skip
    if hours < rule.block_hours / 2:
        logger.warning(
            "%s: blocks of %.3g hours instead of %g, because there would be too few of them for a val_fraction of %g",
            uri, hours, rule.block_hours, rule.val_fraction,
        )  # fmt: skip

"""The four sets of a split: time around anomalies is tested; blocks of other time train, validate and calibrate.

Consecutive rows of telemetry are nearly equal, so rows that are drawn one by one for validation or calibration would
leak training data. Blocks of time are drawn instead (`blocks.py`).
"""

import logging
from collections.abc import Iterator, Mapping
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
    """Divide rows into the four sets, each in order; only the test set keeps its labels.

    Args:
        frame: The rows.
        events: All reported events. One without a row of its own, in a gap or just outside of the data, still has
            rows near it that are not nominal.
        draw: The sets of the other rows, and the length of the windows around events.
    """
    test = inside_any(frame.timestamps, events, nanoseconds(draw.rule.window_hours))
    unlabelled = Frame(frame.timestamps, frame.values)
    nominal = {name: unlabelled.where(rows & ~test) for name, rows in draw.sets(frame.timestamps).items()}
    return {**nominal, "test": frame.where(test)}


def split_dataset(dataset_uri: str, labels_uri: str, targets: dict[str, str], rule: SplitRule) -> dict[str, Dataset]:
    """Write the training, validation, calibration and test sets.

    Args:
        dataset_uri: The telemetry.
        labels_uri: Label series of the telemetry.
        targets: Folder of each of the `SETS`.
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
        nominal = sum(rows.values()) - rows["test"]
        shares = {name: rows[name] / nominal for name in ("val", "calibration")}
        _warn_of_shares(dataset_uri, shares, draw)
        reached = {f"{name}_share": round(share, 4) for name, share in shares.items()}
        notes = {**rule.model_dump(include={*SplitRule.model_fields}), **reached}
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
        "train": "make the window, the validation fraction or the calibration fraction smaller",
        "val": "make the blocks shorter or the validation fraction larger",
        "calibration": "make the blocks shorter or the calibration fraction larger",
        "test": "make the window larger",
    }
    for name, count in rows.items():
        if not count:
            raise InputError(f"{uri}: the split leaves {name} empty ({rows})", fix=fixes[name])


def _warn_of_shares(uri: str, shares: Mapping[str, float], draw: BlockDraw) -> None:
    """Log if a set has too many or too few of the rows, or if blocks are much shorter than was asked for."""
    rule, hours = draw.rule, draw.length / nanoseconds(1)
    for name, share in shares.items():
        wanted = rule.shares[name]
        tolerance, deviation = min(wanted, 1 - wanted) / 4, abs(share - wanted)
        if deviation > tolerance:
            logger.warning(
                "%s: %s has %.3g of the rows beside the test set instead of %g, because the data has gaps or "
                "changes its rate; try block_hours of %.2g or less",
                uri, name, share, wanted, hours * tolerance / deviation / 2,
            )  # fmt: skip
    if hours < rule.block_hours / 2:
        logger.warning(
            "%s: blocks of %.3g hours instead of %g, because there would be too few of them for a val_fraction of %g "
            "and a calibration_fraction of %g",
            uri, hours, rule.block_hours, rule.val_fraction, rule.calibration_fraction,
        )  # fmt: skip

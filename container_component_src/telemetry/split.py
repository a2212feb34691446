"""The four sets of a split: time around anomalies is tested; blocks of other time train, validate and calibrate.

Rare nominal events are tested, too, without time around them.

Consecutive rows of telemetry are nearly equal, so rows that are drawn one by one for validation or calibration would
leak training data. Blocks of time are drawn instead (`blocks.py`).
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from container_component_src.arrays import BoolArray, IntArray, Timestamps
from container_component_src.errors import InputError
from container_component_src.steps.data import SETS, SplitRule
from container_component_src.telemetry.blocks import BlockDraw, nanoseconds
from container_component_src.telemetry.dataset import Dataset, read_together
from container_component_src.telemetry.dataset_writer import writing
from container_component_src.telemetry.events import Event, inside_any, shown_names
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.runs import runs_of
from container_component_src.telemetry.write_behind import WriteBehind

logger = logging.getLogger(__name__)


def assign(
    timestamps: Timestamps, events: tuple[Event, ...], draw: BlockDraw, rare_nominal: tuple[Event, ...] = ()
) -> dict[str, BoolArray]:
    """Divide rows into the four sets.

    Args:
        timestamps: Shape [rows].
        events: All anomalies. One without a row of its own, in a gap or just outside of the data, still has rows near
            it that are not nominal.
        draw: The sets of the other rows, and the length of the windows around anomalies.
        rare_nominal: Events that are normal but no training data; blocks are cut as if there were none.

    Returns:
        Which rows are in each set, [rows], by the name of the set.
    """
    test = inside_any(timestamps, events, nanoseconds(draw.rule.window_hours)) | inside_any(timestamps, rare_nominal)
    return {**{name: rows & ~test for name, rows in draw.sets(timestamps).items()}, "test": test}


def split_dataset(
    dataset_uri: str, labels_uri: str, targets: dict[str, str], rule: SplitRule, copy: bool = False
) -> dict[str, Dataset]:
    """Write the training, validation, calibration and test sets; only the test set has labels.

    Args:
        dataset_uri: The telemetry.
        labels_uri: Label series of the telemetry. Alarms that it lists as false are training data like other rows,
            unless they lie near an anomaly.
        targets: Folder of each of the `SETS`.
        rule: Which rows go where.
        copy: Whether to copy the rows, rather than to write views of the dataset.

    Raises:
        InputError: The labels are of other data, or one of the sets is empty.
    """
    dataset, labels = Dataset.open(dataset_uri), Dataset.open(labels_uri)
    known, partitions = labels.manifest, dataset.manifest.partitions
    anomalies = (*known.events, *known.events_without_rows)
    draw = BlockDraw.over((partitions[0].start, partitions[-1].end), anomalies, rule)
    folders = [*dataset.folders, *labels.folders]
    timestamp_cols = dict.fromkeys(targets, dataset.manifest.timestamp_col)
    with writing(targets, timestamp_cols, dataset.channels, folders) as writers:
        parts = _divide(dataset, labels, draw)
        rows = {name: sum(part.rows for part in parts[name]) for name in targets}
        _check_none_empty(rows, dataset_uri)
        notes = {
            **rule.model_dump(include={*SplitRule.model_fields}),
            **_reached_shares(rows, dataset_uri, draw),
            **_tested_false_alarms(known.false_alarms, anomalies, rule),
        }
        views = {name: dataset.view(parts[name], notes) for name in targets}
        tested = {"events": known.events, "rare_nominal": known.rare_nominal}
        views["test"] = dataset.view(parts["test"], notes, labelled=True, **tested)
        if not copy:
            return {name: writer.commit_view(views[name]) for name, writer in writers.items()}
        with WriteBehind() as behind:
            for name, frame in read_together(views, dataset.channels):
                behind.write(writers[name], frame)
        return {
            name: writer.commit(notes=notes, **(tested if name == "test" else {})) for name, writer in writers.items()
        }


def _divide(dataset: Dataset, labels: Dataset, draw: BlockDraw) -> dict[str, list[Partition]]:
    """Return which rows of each file are in each set; this reads only timestamps.

    Raises:
        InputError: The labels are of other data.
    """
    known = labels.manifest
    events = (*known.events, *known.events_without_rows)
    parts: dict[str, list[Partition]] = {name: [] for name in SETS}
    files = dataset.manifest.partitions
    if len(files) != len(labels.manifest.partitions):
        raise _other_data(dataset, labels)
    for file, frame, series in zip(files, dataset.frames(()), labels.frames(), strict=True):
        if not np.array_equal(frame.timestamps, series.timestamps):
            raise _other_data(dataset, labels)
        for name, rows in assign(frame.timestamps, events, draw, known.rare_nominal).items():
            if rows.any():
                parts[name].append(_part(file, frame.timestamps, runs_of(rows)))
    return parts


def _tested_false_alarms(false_alarms: Sequence[Event], anomalies: Sequence[Event], rule: SplitRule) -> dict[str, int]:
    """Return how many false alarms there are, and how many of them stay in the test set; log these.

    Time near an anomaly may show its beginning or its end, so an anomaly outweighs the verdict on an alarm near it.
    """
    if not false_alarms:
        return {}
    margin = nanoseconds(rule.window_hours)
    tested = [
        alarm.id
        for alarm in false_alarms
        if any(alarm.start < event.end + margin and event.start - margin < alarm.end for event in anomalies)
    ]
    if tested:
        logger.warning(
            "%d of %d false alarms lie at least in part within %g hours of an anomaly, where rows stay in the test "
            "set: %s",
            len(tested), len(false_alarms), rule.window_hours, shown_names(tested),
        )  # fmt: skip
    return {"false_alarms": len(false_alarms), "false_alarms_in_test": len(tested)}


def _part(file: Partition, timestamps: Timestamps, runs: IntArray) -> Partition:
    first, last = (int(timestamps[row]) for row in (runs[0, 0], runs[-1, 1] - 1))
    ranges = tuple((start, stop) for start, stop in runs.tolist())
    return Partition(file=file.file, rows=int(np.diff(runs).sum()), start=first, end=last, ranges=ranges)


def _other_data(dataset: Dataset, labels: Dataset) -> InputError:
    return InputError(
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


def _reached_shares(sizes: Mapping[str, int], uri: str, draw: BlockDraw) -> dict[str, float]:
    """Return the shares of the nominal rows that sets have.

    Log if a set has too many or too few of the rows, or if blocks are much shorter than was asked for.
    """
    nominal = sum(sizes.values()) - sizes["test"]
    shares = {name: sizes[name] / nominal for name in ("val", "calibration")}
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
    return {f"{name}_share": round(share, 4) for name, share in shares.items()}

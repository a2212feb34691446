"""Signals of the channels that contribute most to the score of an event, in the units of the archives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from container_component_src.errors import InputError
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.series import EVENT_LINES, Line, Window, WindowLine
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.manifest import Partition

_RANGE_LEVELS = ("0.01", "0.99")  # quantiles of the training values


@dataclass(frozen=True)
class Signal:
    """One channel around one event."""

    channel: str
    excess: float  # contribution to the score during the event minus the usual one, nats
    line: Line
    training_range: tuple[float, float] | None  # 1 % and 99 % quantile of the training values


def read_signals(
    test: Dataset, result: EvaluationResult, windows: Sequence[Window], info: BundleInfo
) -> tuple[tuple[Signal, ...], ...]:
    """Read the top channels of each event; partitions without an event are not read.

    Args:
        test: Test dataset before scaling.
        result: Evaluation, which names the channels.
        windows: Window of each event.
        info: Description of the model, which holds the range of the training values.

    Returns:
        The signals of each event, the top channel first.

    Raises:
        InputError: The test data is scaled, or lacks a channel.
    """
    if test.manifest.scaler is not None:
        raise InputError(
            f"{test.location.uri}: the test data is scaled", fix="name the test dataset of the split, before scaling"
        )
    shown = [event.top_channels[: EVENT_LINES - 1] for event in result.events]
    for channel in {item.channel for items in shown for item in items} - {*test.channels}:
        raise InputError(f"{test.location.uri}: no channel '{channel}'", fix="name the test data that was evaluated")
    lines = [{item.channel: WindowLine(window) for item in items} for items, window in zip(shown, windows, strict=True)]
    for partition in test.manifest.partitions:
        near = [each for each, window in zip(lines, windows, strict=True) if _overlaps(partition, window)]
        channels = sorted({channel for each in near for channel in each})
        if not channels:
            continue
        frame = test.read(partition, channels)
        for each in near:
            for channel, line in each.items():
                line.push(frame.timestamps, frame.values[:, channels.index(channel)])
    ranges = _training_ranges(info)
    return tuple(
        tuple(Signal(item.channel, item.excess, each[item.channel].line(), ranges.get(item.channel)) for item in items)
        for items, each in zip(shown, lines, strict=True)
    )


def _overlaps(partition: Partition, window: Window) -> bool:
    return partition.start < window.end and partition.end >= window.start


def _training_ranges(info: BundleInfo) -> dict[str, tuple[float, float]]:
    """Return the range of 98 % of the training values by channel, in the units of the archives."""
    names = [name for name in info.channels if name in info.channel_statistics]
    scaled = np.array([[info.channel_statistics[name].quantiles[level] for level in _RANGE_LEVELS] for name in names])
    if info.scaler and names:
        columns = [info.scaler.channels.index(name) for name in names]
        centre, scale = (np.array(values)[columns, np.newaxis] for values in (info.scaler.centre, info.scaler.scale))
        scaled = scaled * scale + centre
    return {name: (low, high) for name, (low, high) in zip(names, scaled.tolist(), strict=True)}

"""Signals of the channels that moved in an event, measured and expected, in the units of the archives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from container_component_src.errors import InputError
from container_component_src.evaluation.event_result import EventResult, Expectation
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.series import Line, Window, WindowLine
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.smoothing import default_max_gap

_RANGE_LEVELS = ("0.01", "0.99")  # quantiles of the training values


@dataclass(frozen=True)
class Signal:
    """One channel around one event."""

    channel: str
    excess: float  # contribution to the score during the event minus the usual one, nats
    line: Line  # measured values
    expected: Line  # minimum and maximum of the values that the model expects, [points, 2]
    training_range: tuple[float, float] | None  # 1 % and 99 % quantile of the training values


def read_signals(
    test: Dataset, result: EvaluationResult, windows: Sequence[Window], info: BundleInfo
) -> tuple[tuple[Signal, ...], ...]:
    """Read the channels that moved in each event; partitions without an event are not read.

    Args:
        test: Test dataset before scaling.
        result: Evaluation, which has the channels and the values that were expected of them.
        windows: Window of each event.
        info: Description of the model, which holds the range of the training values.

    Returns:
        The signals of each event, the one with the largest excess first.

    Raises:
        InputError: The test data is scaled, or lacks a channel.
    """
    if test.manifest.scaler is not None:
        raise InputError(
            f"{test.location.uri}: the test data is scaled", fix="name the test dataset of the split, before scaling"
        )
    shown = [_moved(event) for event in result.events]
    for channel in {channel for of_event in shown for channel in of_event} - {*test.channels}:
        raise InputError(f"{test.location.uri}: no channel '{channel}'", fix="name the test data that was evaluated")
    lines = [{name: WindowLine(window) for name in of_event} for of_event, window in zip(shown, windows, strict=True)]
    for partition in test.manifest.partitions:
        near = [each for each, window in zip(lines, windows, strict=True) if _overlaps(partition, window)]
        channels = sorted({channel for each in near for channel in each})
        if not channels:
            continue
        frame = test.read(partition, channels)
        for each in near:
            for channel, line in each.items():
                line.push(frame.timestamps, frame.values[:, channels.index(channel)])
    ranges = training_ranges(info)
    return tuple(
        tuple(
            Signal(name, excess, each[name].line(), _expected(event.expected, name, window), ranges.get(name))
            for name, excess in of_event.items()
        )
        for event, of_event, each, window in zip(result.events, shown, lines, windows, strict=True)
    )


def _moved(event: EventResult) -> dict[str, float]:
    """Return the excess of the channels that moved, largest first."""
    moved = {item.channel for item in event.expected.channels}
    return {item.channel: item.excess for item in event.top_channels if item.channel in moved}


def _expected(expectation: Expectation, channel: str, window: Window) -> Line:
    """Return the expected values of a channel in a window."""
    times = np.array(expectation.timestamps, dtype=np.int64)
    values = next(np.array([item.low, item.high]).T for item in expectation.channels if item.channel == channel)
    inside = (times >= window.start) & (times < window.end)
    return Line.broken(times[inside], values[inside], default_max_gap(times) or 0)  # no gap in less than two points


def _overlaps(partition: Partition, window: Window) -> bool:
    return partition.start < window.end and partition.end >= window.start


def training_ranges(info: BundleInfo) -> dict[str, tuple[float, float]]:
    """Return the range of 98 % of the training values by channel, in the units of the archives."""
    names = [name for name in info.channels if name in info.channel_statistics]
    scaled = np.array([[info.channel_statistics[name].quantiles[level] for level in _RANGE_LEVELS] for name in names])
    if info.scaler and names:
        columns = [info.scaler.channels.index(name) for name in names]
        centre, scale = (np.array(values)[columns, np.newaxis] for values in (info.scaler.centre, info.scaler.scale))
        scaled = scaled * scale + centre
    return {name: (low, high) for name, (low, high) in zip(names, scaled.tolist(), strict=True)}

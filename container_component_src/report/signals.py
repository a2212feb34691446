"""The signals of the channels that add most to the score of an event, in the units of the archives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from container_component_src.errors import InputError
from container_component_src.evaluation.result import ChannelExcess, EvaluationResult
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.series import EVENT_LINES, Line, Window
from container_component_src.telemetry.dataset import Dataset, Partition

_USUAL = ("0.01", "0.99")  # quantiles of the training values


@dataclass(frozen=True)
class Signal:
    """One channel around one event."""

    channel: str
    excess: float  # nats that it adds to the score during the event, beyond its usual part
    line: Line
    usual: tuple[float, float] | None  # 1 % and 99 % quantile of the training values


def read_signals(
    test: Dataset, result: EvaluationResult, windows: Sequence[Window], info: BundleInfo
) -> tuple[tuple[Signal, ...], ...]:
    """Read of each event's window the channels that are shown; partitions without an event are not read.

    Args:
        test: The test dataset before it was scaled.
        result: The evaluation; it names the channels.
        windows: What is shown of each of its events.
        info: Of the model, which knows the training values.

    Raises:
        InputError: The test data is scaled, or lacks a channel.
    """
    if test.manifest.scaler is not None:
        raise InputError(f"{test.location.uri}: scaled test data; name that of the split, whose units readers know")
    shown = [event.top_channels[: EVENT_LINES - 1] for event in result.events]
    for channel in {item.channel for items in shown for item in items} - {*test.channels}:
        raise InputError(f"{test.location.uri}: no channel '{channel}'; name the test data that was evaluated")
    collectors = [
        {item.channel: window.collector() for item in items} for items, window in zip(shown, windows, strict=True)
    ]
    for partition in test.manifest.partitions:
        near = [each for each, window in zip(collectors, windows, strict=True) if _overlap(partition, window)]
        channels = sorted({channel for each in near for channel in each})
        if not channels:
            continue
        frame = test.read(partition, channels)
        for each in near:
            for channel, collector in each.items():
                collector.push(frame.timestamps, frame.values[:, channels.index(channel)])
    usual = _usual_ranges(info)
    return tuple(
        tuple(_signal(item, each[item.channel].line(), usual) for item in items)
        for items, each in zip(shown, collectors, strict=True)
    )


def _signal(item: ChannelExcess, line: Line, usual: Mapping[str, tuple[float, float]]) -> Signal:
    return Signal(item.channel, item.excess, line, usual.get(item.channel))


def _overlap(partition: Partition, window: Window) -> bool:
    return partition.start < window.end and partition.end >= window.start


def _usual_ranges(info: BundleInfo) -> dict[str, tuple[float, float]]:
    """By channel the range of most training values, in the units of the archives."""
    names = [name for name in info.channels if name in info.channel_statistics]
    scaled = np.array([[info.channel_statistics[name].quantiles[level] for level in _USUAL] for name in names])
    if info.scaler and names:
        columns = [info.scaler.channels.index(name) for name in names]
        centre, scale = (np.array(values)[columns, np.newaxis] for values in (info.scaler.centre, info.scaler.scale))
        scaled = scaled * scale + centre
    return {name: (low, high) for name, (low, high) in zip(names, scaled.tolist(), strict=True)}

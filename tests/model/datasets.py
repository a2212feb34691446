"""Small learnable telemetry: a few hidden signals that are mixed into many channels."""

from pathlib import Path

import numpy as np

from container_component_src.arrays import Float32Array
from container_component_src.model.datamodule import RowSource, Shard
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.scaler import Scaler

CHANNELS = ("pressure", "temperature", "fan_speed", "oxygen", "humidity")
SECOND = 10**9


def make_values(rows: int, seed: int, channels: int = len(CHANNELS)) -> Float32Array:
    generator = np.random.default_rng(seed)
    signals = generator.standard_normal((rows, 2)) @ np.random.default_rng(0).standard_normal((2, channels))
    return (signals + 0.3 * generator.standard_normal((rows, channels))).astype(np.float32)


def epoch_of(source: RowSource, batch_size: int, shard: Shard, seed: int = 0, epoch: int = 0) -> list[list[int]]:
    """Return the row numbers of each batch."""
    blocks = source.shuffled(batch_size, seed, epoch, shard)
    return [[int(value) for value in batch[:, 0]] for block in blocks for batch in block]


def write_dataset(
    folder: Path,
    values: Float32Array,
    channels: tuple[str, ...] = CHANNELS,
    scaler: Scaler | None = None,
    labelled: bool = False,
) -> str:
    """Write rows at an interval of one second in two partitions and return the URI."""
    timestamps = np.arange(len(values), dtype=np.int64) * SECOND
    labels = np.zeros(len(values), dtype=np.int8) if labelled else None
    frame = Frame(timestamps, values, labels)
    half = np.arange(len(values)) < len(values) // 2
    with DatasetWriter(str(folder), "normalizedTime", channels) as writer:
        writer.write(frame.where(half))
        writer.write(frame.where(~half))
        dataset: Dataset = writer.commit(scaler=scaler)
    return dataset.location.uri


def with_constants(folder: Path, departures: np.ndarray) -> Dataset:
    """200 rows of the usual channels, and constant ones before them with these departures, [channels, rows]."""
    names = (*(f"constant{number}" for number in range(len(departures))), *CHANNELS)
    ones = (1.0,) * len(names)
    scaler = Scaler(
        type=ScalerType.STANDARD, channels=names, centre=ones, scale=ones, constant=names[: len(departures)]
    )
    values = np.column_stack([*departures, make_values(200, seed=1)]).astype(np.float32)
    return Dataset.open(write_dataset(folder, values, names, scaler))

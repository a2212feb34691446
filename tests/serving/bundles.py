"""A tiny bundle with random weights, and its servers."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from container_component_src import storage
from container_component_src.alarms.rule import AlarmRule
from container_component_src.model.bundle import Bundle, build
from container_component_src.model.bundle_info import (
    Architecture,
    BundleInfo,
    Calibration,
    ChannelStatistics,
    TrainingSummary,
)
from container_component_src.steps.calibration import AlarmSettings, Smoothing
from container_component_src.steps.data import ScalerType
from container_component_src.steps.training import Hyperparameters
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.scaler import Scaler

CHANNELS = ("cabin_pressure", "coolant_temperature", "fan_speed")
SCALER = Scaler(
    type=ScalerType.STANDARD,
    channels=CHANNELS,
    centre=(1013.0, 17.5, 3500.0),
    scale=(2.0, 0.25, 40.0),
    absent=("valve_state",),
)
ROW = {"cabin_pressure": 1012.5, "coolant_temperature": 17.75, "fan_speed": 3510.0}


def bundle_info(
    seed: int = 0,
    threshold: float = 4.0,
    smoothing_window: int = 1,
    window_steps: int = 1,
    smoothing: Smoothing = Smoothing.MEDIAN,
    constant: tuple[str, ...] = (),
    rule: AlarmRule | None = None,
    channel_nats: tuple[float, ...] = (0.0,) * len(CHANNELS),
) -> BundleInfo:
    quantiles = {"0.01": -2.3, "0.5": 0.0, "0.99": 2.3}
    return BundleInfo(
        architecture=Architecture(latent_dim=2, hidden_dims=(8, 4), variance_floor=1e-4, window_steps=window_steps),
        channels=CHANNELS,
        scaler=SCALER.model_copy(update={"constant": constant}),
        max_gap_ns=10**10,
        constant_spreads=dict.fromkeys(constant, 1.0),
        calibration=Calibration(
            settings=AlarmSettings(smoothing=smoothing, smoothing_window=smoothing_window),
            rule=rule or AlarmRule(raise_above=threshold, clear_below=threshold, max_gap_ns=10**10),
            method="quantile", false_alarms_per_day=None, rows=10, days=0.0, highest_median=0.0,
            channel_nats=channel_nats,
            subsystems={"coolant_*": "cooling"},
        ),
        training=TrainingSummary(
            train_rows=10, val_rows=10, epochs=1, best_epoch=0, val_loss=4.0, history=(),
            hyperparameters=Hyperparameters(latent_dim=2, hidden_dims=(8, 4)), nodes=1,
        ),
        channel_statistics={name: ChannelStatistics(mean=0.0, std=1.0, quantiles=quantiles) for name in CHANNELS},
        seed=seed,
        versions={},
    )  # fmt: skip


def make_bundle(folder: Path, seed: int = 0, **settings: Any) -> Bundle:
    """Write a bundle; the settings are those of `bundle_info`."""
    torch.manual_seed(seed)
    info = bundle_info(seed, **settings)
    model = build(info.architecture, len(info.varying)).eval()
    model.log_variance.data = torch.tensor([-1.0, 0.0, 0.5])[: len(info.varying)]
    return Bundle(Bundle(info, model).save(storage.resolve(str(folder))), model)


def write_test_dataset(folder: Path, channels: tuple[str, ...] = CHANNELS, rows: int = 20, start: int = 0) -> Dataset:
    """Scaled rows of a standard normal distribution, one a second from a start in nanoseconds."""
    values = np.random.default_rng(3).standard_normal((rows, len(channels))).astype(np.float32)
    with DatasetWriter(str(folder), "normalizedTime", channels) as writer:
        writer.write(Frame(start + np.arange(rows, dtype=np.int64) * 10**9, values))
        return writer.commit(scaler=SCALER)

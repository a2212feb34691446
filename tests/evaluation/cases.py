"""A small model bundle and the data to evaluate it on."""

import math
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from container_component_src import storage
from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.alarms.rule import AlarmRule
from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import Architecture, BundleInfo, Calibration, Epoch, TrainingSummary
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.calibration import AlarmSettings, Smoothing
from container_component_src.steps.data import SETS
from container_component_src.steps.training import Hyperparameters
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY

SECOND = 1_000_000_000
START = 1_600_000_000 * SECOND
CHANNELS = ("pressure", "temperature", "fan")
ROWS = 400


@dataclass(frozen=True)
class Case:
    """URIs of the inputs of an evaluation, and a folder for its output."""

    bundle: str
    train: str
    val: str
    calibration: str
    test: str
    whole: str  # before the split
    out: Path

    @classmethod
    def below(cls, folder: Path) -> "Case":
        """Return the case whose files are in a folder."""
        return cls(**{name: str(folder / name) for name in ("bundle", "whole", *SETS)}, out=folder / "out")

    def copy(self, folder: Path) -> "Case":
        """Copy the files of the case, and what was written beside them, to a folder."""
        shutil.copytree(self.out.parent, folder, dirs_exist_ok=True)
        return Case.below(folder)

    @property
    def telemetry(self) -> dict[str, str]:
        """Datasets of the report; the values are unscaled because the bundle has no scaler."""
        return {"df_path": self.whole, **{f"{name}_df_path": getattr(self, name) for name in SETS}}


def make_bundle(
    uri: str,
    window: int = 3,
    scale: float = 1.0,
    window_steps: int = 1,
    smoothing: Smoothing = Smoothing.MEDIAN,
) -> BundleInfo:
    model = TimeStampVAE(len(CHANNELS), latent_dim=1, hidden_dims=(4, 4), window_steps=window_steps)
    for parameter in model.parameters():
        parameter.data.zero_()  # the reconstruction is 0 and the score is that of a normal distribution
    model.log_variance.data.fill_(2 * math.log(scale))
    epochs = tuple(Epoch(epoch=epoch, train_loss=9.0 - epoch, val_loss=9.5 - epoch) for epoch in range(3))
    info = BundleInfo(
        architecture=Architecture(latent_dim=1, hidden_dims=(4, 4), variance_floor=0.0, window_steps=window_steps),
        channels=CHANNELS,
        scaler=None,
        max_gap_ns=10 * SECOND,
        calibration=Calibration(
            settings=AlarmSettings(smoothing=smoothing, smoothing_window=window, alarm_quantile=0.999),
            rule=AlarmRule(raise_above=8.0, clear_below=8.0, max_gap_ns=10 * SECOND),
            method="quantile of the smoothed calibration scores",
            false_alarms_per_day=ExpectedRate(estimate=1.0, low=0.2, high=3.1),
            rows=ROWS,
            days=ROWS * SECOND / NANOSECONDS_PER_DAY,
            highest_median=4.5,
            channel_nats=(2.0,) * len(CHANNELS),
            subsystems={"fan": "ventilation"},
        ),
        training=TrainingSummary(
            train_rows=1000,
            val_rows=ROWS,
            epochs=3,
            best_epoch=2,
            val_loss=7.5,
            history=epochs,
            hyperparameters=Hyperparameters(latent_dim=1, hidden_dims=(4, 4)),
            nodes=1,
        ),
        seed=7,
        versions={"python": "3.11"},
        channel_statistics={},
    )
    model.variance_floor = 0.0
    return Bundle(info, model.eval()).save(storage.resolve(uri))


def write_dataset(uri: Path, frame: Frame, cuts: tuple[int, ...], events: tuple[Event, ...] = ()) -> Dataset:
    bounds = [0, *cuts, len(frame)]
    positions = np.arange(len(frame))
    with DatasetWriter(str(uri), "normalizedTime", CHANNELS) as writer:
        for first, stop in pairwise(bounds):
            writer.write(frame.where((positions >= first) & (positions < stop)))
        return writer.commit(events=events)


def normal_frame(seed: int, labelled: bool) -> Frame:
    values = np.random.default_rng(seed).normal(size=(ROWS, len(CHANNELS))).astype(np.float32)
    labels = np.zeros(ROWS, dtype=np.int8) if labelled else None
    return Frame(START + np.arange(ROWS, dtype=np.int64) * SECOND, values, labels)


def anomalous_frame() -> tuple[Frame, tuple[Event, ...]]:
    """Return data with anomalies of 40 rows in the fan and 10 in the pressure; a third event is before the data.

    The report of the first names its cause.
    """
    frame = normal_frame(2, labelled=True)
    assert frame.labels is not None
    events = []
    for name, first, stop, channel in (("A-1", 100, 140, 2), ("A-2", 300, 310, 0)):
        frame.labels[first:stop] = 1
        frame.values[first:stop, channel] += 6.0
        events.append(
            Event(
                id=name,
                symbol="FAN",
                title="Fan <b>& co</b>",
                start=START + first * SECOND,
                end=START + stop * SECOND,
                causes=("fan",) if channel == 2 else (),
            )
        )
    events.append(Event(id="A-0", start=START - 100 * SECOND, end=START - 50 * SECOND))
    return frame, tuple(events)


def write_case(folder: Path, cuts: tuple[int, ...] = (120, 305), window: int = 3) -> Case:
    """Write a bundle and its data: test, val, train, calibration; `cuts` bound the partitions of all but train."""
    make_bundle(str(folder / "bundle"), window)
    frame, events = anomalous_frame()
    test = write_dataset(folder / "test", frame, cuts, events).load()
    val = write_dataset(folder / "val", later(normal_frame(1, labelled=False), 1), cuts).load()
    train = write_dataset(folder / "train", later(normal_frame(4, labelled=False), 2), (100,)).load()
    calibration = write_dataset(folder / "calibration", later(normal_frame(5, labelled=False), 3), cuts).load()
    with DatasetWriter(str(folder / "whole"), "normalizedTime", CHANNELS) as writer:
        for frame in (test, val, train, calibration):
            writer.write(Frame(frame.timestamps, frame.values))
        writer.commit(
            missing={"fan": 3}, left_out={"mode": "text", "": "index of the rows"}, notes={"sample_frac": 0.5}
        )
    return Case.below(folder)


def later(frame: Frame, times: int) -> Frame:
    """Return the rows shifted by the time range of this many frames."""
    return Frame(frame.timestamps + times * ROWS * SECOND, frame.values, frame.labels)


def recalibrate(case: Case, **changes: object) -> BundleInfo:
    """Change the calibration of the bundle."""
    bundle = Bundle.load(case.bundle)
    info = bundle.info.model_copy(update={"calibration": bundle.info.calibrated.model_copy(update=changes)})
    return Bundle(info, bundle.model).save(storage.resolve(case.bundle))


def add_rare_event(case: Case, marked: bool = True) -> Event:
    """Raise the temperature for 20 rows of the test data, and say that operators judged them as rare, but nominal."""
    test = Dataset.open(case.test)
    frame = test.load()
    frame.values[200:220, 1] = 6.0  # whether or not they are raised already
    times = START + 200 * SECOND, START + 220 * SECOND
    event = Event(id="R-1", title="<i>Docking</i>", start=times[0], end=times[1], origin="verdict")
    with DatasetWriter(case.test, "normalizedTime", CHANNELS) as writer:
        writer.write(frame)
        writer.commit(events=test.manifest.events, rare_nominal=(event,) if marked else ())
    return event

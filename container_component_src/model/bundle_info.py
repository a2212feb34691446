"""Description of a model bundle (`bundle.json`); reading it does not import torch."""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError, model_validator

from container_component_src import storage
from container_component_src.alarms.alarm import AlarmSource
from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.alarms.rule import AlarmRule
from container_component_src.arrays import Float32Array
from container_component_src.data_root import IF_DELETED
from container_component_src.errors import InputError
from container_component_src.steps.calibration import AlarmSettings, Subsystems
from container_component_src.steps.training import Detector, Hyperparameters
from container_component_src.storage import Location
from container_component_src.telemetry.distribution import Distribution
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.smoothing import Smoother
from container_component_src.values import Frozen, describe

INFO_NAME = "bundle.json"
WEIGHTS_NAME = "model.safetensors"
CARD_JSON = "model_card.json"
CARD_MARKDOWN = "MODEL_CARD.md"
FORMAT_VERSION = 4  # version 1 had no linear maps, version 2 no constant channels, version 3 no calibration

_CALIBRATE = "run calibrate on it, and use the bundle that it writes"

Size = Annotated[int, Field(ge=1, le=2**20)]  # of a layer
Spread = Annotated[float, Field(ge=1, allow_inf_nan=False)]  # usual departure of a constant channel, in resolutions


class Architecture(Frozen):
    """Sizes of the network, apart from the number of channels."""

    latent_dim: Size
    hidden_dims: tuple[Size, Size]
    variance_floor: float = Field(ge=0)
    window_steps: Size = 1  # time steps that the network sees at once
    detector: Detector = Detector.VAE


class Calibration(Frozen):
    """When the model raises alarms."""

    settings: AlarmSettings
    rule: AlarmRule
    method: str  # that found the threshold
    false_alarms_per_day: ExpectedRate | None  # None if the calibration set has no length
    rows: int  # of the calibration set
    days: float = Field(ge=0)  # that it covers, without gaps
    highest_median: float  # of the calibration scores in a part, nats; a higher one is a sign of drift
    channel_nats: tuple[float, ...]  # mean contribution of each channel to the calibration scores
    subsystems: Subsystems = Field(default_factory=dict)
    scores: Distribution | None = None  # smoothed, nats; None: calibrated before it was recorded

    @cached_property
    def usual_nats(self) -> Float32Array:
        """`channel_nats` as an array, [channels]."""
        return np.array(self.channel_nats, dtype=np.float32)


class ChannelStatistics(Frozen):
    """Distribution of one channel in the training data, in scaled units."""

    mean: float
    std: float
    quantiles: dict[str, float]  # by level, such as "0.01"
    distribution: Distribution | None = None  # None: trained before it was recorded


class Epoch(Frozen):
    """Losses of one epoch, nats per time step."""

    epoch: int  # from 0
    train_loss: float  # minimised loss, mean over the training rows
    val_loss: float  # median of the validation loss over the rows


class TrainingSummary(Frozen):
    """Summary of the training."""

    train_rows: int
    val_rows: int
    epochs: int  # number of epochs until early stopping
    best_epoch: int  # from 0; the bundle has its weights
    val_loss: float  # of the best epoch
    history: tuple[Epoch, ...]
    hyperparameters: Hyperparameters
    nodes: int
    candidates: dict[str, float] = Field(default_factory=dict)  # average precision on synthetic anomalies, by detector
    active_latents: int | None = None  # latents that tell validation rows apart; None: unknown


class BundleInfo(Frozen):
    """Contents of `bundle.json`."""

    format_version: int = FORMAT_VERSION
    architecture: Architecture
    channels: tuple[str, ...] = Field(min_length=1)  # in the order of the inputs of the model, with constant ones
    scaler: Scaler | None  # None: the model was trained on values without scaling
    max_gap_ns: int | None = Field(None, ge=0)  # a longer time step is a gap; None: there are none
    constant_spreads: dict[str, Spread] = Field(default_factory=dict)  # of the channels that the network does not see
    calibration: Calibration | None = None  # None: not calibrated yet
    impute_missing: bool = False  # whether servers impute missing values unless a request says otherwise
    training: TrainingSummary
    channel_statistics: dict[str, ChannelStatistics]  # of the training data, by channel; for the detection of drift
    seed: int
    versions: dict[str, str]  # of Python and the libraries
    weights_sha256: str = ""  # digest of the weights file, set when the bundle is saved
    version: str = ""  # digest of all other fields, set when the bundle is saved

    @model_validator(mode="before")
    @classmethod
    def _known_format(cls, values: Any) -> Any:
        version = values.get("format_version", FORMAT_VERSION) if isinstance(values, dict) else FORMAT_VERSION
        if version != FORMAT_VERSION:
            raise ValueError(f"format {version}, not {FORMAT_VERSION}")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> "BundleInfo":
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("a channel is repeated")
        if self.scaler is not None and self.scaler.channels != self.channels:
            raise ValueError("scaler and model have different channels")
        if set(self.constant_spreads) != set(self.scaler.constant if self.scaler else ()):
            raise ValueError("constant_spreads does not have the constant channels of the scaler")
        if self.impute_missing and self.scaler is None:
            raise ValueError("impute_missing needs the centres of a scaler")
        if self.calibration and len(self.calibration.channel_nats) != len(self.channels):
            raise ValueError("channel_nats does not have one value per channel")
        return self

    @property
    def varying(self) -> tuple[str, ...]:
        """The channels that the network sees."""
        return self.scaler.varying if self.scaler else self.channels

    @property
    def calibrated(self) -> Calibration:
        """The calibration.

        Raises:
            InputError: The model has none.
        """
        if self.calibration is None:
            raise InputError("the model is not calibrated, so it has no alarm threshold", fix=_CALIBRATE)
        return self.calibration

    @property
    def alarm_source(self) -> AlarmSource:
        """What all alarms of the model have in common."""
        return AlarmSource(self.version, self.calibrated.rule, self.calibrated.subsystems)

    @property
    def context_rows(self) -> int:
        """Number of earlier rows that the smoothed score of a row depends on."""
        return self.smoother().context_rows + self.architecture.window_steps - 1

    def smoother(self) -> Smoother:
        """Return a new smoother for the scores that are compared with the threshold."""
        settings = self.calibrated.settings
        return Smoother(settings.smoothing, settings.smoothing_window, self.max_gap_ns)

    def with_version(self) -> "BundleInfo":
        """Return a copy with the version."""
        return self.model_copy(update={"version": _digest(json.loads(self.model_dump_json()))})

    def metadata(self) -> dict[str, Any]:
        """Return the summary that the pipeline shows for the artifact."""
        return {
            "detector": self.architecture.detector.value,
            "val_loss": self.training.val_loss,
            "epochs": self.training.epochs,
            "best_epoch": self.training.best_epoch,
            "active_latents": self.training.active_latents,
            "train_rows": self.training.train_rows,
            "val_rows": self.training.val_rows,
            "channels": len(self.channels),
            **({"threshold": self.calibration.rule.raise_above} if self.calibration else {}),
            "seed": self.seed,
            **self.training.hyperparameters.model_dump(mode="json"),
        }


def read_info(location: Location) -> BundleInfo:
    """Read the description of a bundle.

    Raises:
        InputError: There is no bundle, or its description is damaged or of another format version.
    """
    file = location / INFO_NAME
    if not file.exists():
        raise InputError(
            f"{location.uri}: no model bundle (no {INFO_NAME})", fix=f"run the training to its end, {IF_DELETED}"
        )
    content = file.read_bytes()
    try:
        info = BundleInfo.model_validate_json(content)
    except ValidationError as error:
        raise InputError(
            f"{file.uri}: damaged model bundle, or one of another format ({describe(error)})", fix="train again"
        ) from error
    if info.version != _digest(json.loads(content)):
        raise InputError(f"{file.uri}: changed after the training (its digest differs)", fix="train again")
    return info


def open_info(uri: str) -> BundleInfo:
    """Read the description of a bundle by its URI; see `read_info` for errors."""
    return read_info(storage.resolve(uri))


def check_calibrated(info: BundleInfo, uri: str) -> None:
    """Check that the bundle at a URI says when the model raises alarms.

    Raises:
        InputError: The model is not calibrated.
    """
    if info.calibration is None:
        raise InputError(f"{uri}: the model is not calibrated, so it has no alarm threshold", fix=_CALIBRATE)


def copy_bundle(source: Location, target: Location) -> None:
    """Copy a bundle, and its model card if it has one; the description is the last file and makes the copy complete."""
    cards = (name for name in (CARD_JSON, CARD_MARKDOWN) if (source / name).exists())
    for name in (WEIGHTS_NAME, *cards, INFO_NAME):
        (target / name).write_bytes((source / name).read_bytes(limit=None))


def _digest(values: dict[str, Any]) -> str:
    """Return the SHA-256 of a description without its version, whatever the layout of its JSON.

    The order of keys counts, because that of the patterns of subsystems does.
    """
    content = {key: value for key, value in values.items() if key != "version"}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

"""What a model bundle says of itself (`bundle.json`); light enough to read without the model's library."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from container_component_src import storage
from container_component_src.data_root import IF_DELETED
from container_component_src.errors import InputError
from container_component_src.steps.training import Hyperparameters
from container_component_src.storage import Location
from container_component_src.telemetry.scaler import Scaler
from container_component_src.values import Frozen, describe

INFO_NAME = "bundle.json"
WEIGHTS_NAME = "model.safetensors"
FORMAT_VERSION = 2  # 1 had no linear maps beside its networks


Size = Annotated[int, Field(ge=1, le=2**20)]  # of a layer


class Architecture(Frozen):
    """What the network is built from, beside the number of channels."""

    latent_dim: Size
    hidden_dims: tuple[Size, Size]
    variance_floor: float = Field(ge=0)
    window_steps: Size = 1  # time steps that it sees at once


class Thresholds(Frozen):
    """Alarm threshold and how it was found."""

    score: float  # nats; an alarm is a smoothed score above it
    method: str
    quantile: float  # of the smoothed validation scores
    smoothing_window: int = Field(ge=1)  # time steps of the causal rolling median
    max_gap_ns: int | None = Field(ge=0)  # the median starts anew after a longer step; None: never
    val_rows: int
    channel_nats: tuple[float, ...] = ()  # mean part of each channel in the validation scores, in order; (): unknown


class ChannelStatistics(Frozen):
    """Distribution of one channel in the training data, in the units that the model sees."""

    mean: float
    std: float
    quantiles: dict[str, float]  # by probability, as in "0.01"


class Epoch(Frozen):
    """Losses of one epoch, nats per time step."""

    epoch: int  # from 0
    train_loss: float  # negative ELBO with the beta of the training
    val_loss: float  # negative ELBO with beta 1


class TrainingSummary(Frozen):
    """How the model came about."""

    train_rows: int
    val_rows: int
    epochs: int  # run until early stopping
    best_epoch: int  # from 0; the one whose weights these are
    val_loss: float  # of the best epoch
    history: tuple[Epoch, ...]
    hyperparameters: Hyperparameters
    nodes: int


class BundleInfo(Frozen):
    """Contents of `bundle.json`."""

    format_version: int = FORMAT_VERSION
    architecture: Architecture
    channels: tuple[str, ...] = Field(min_length=1)  # in the order of the model's inputs
    scaler: Scaler | None  # None: the model takes the values as they are
    thresholds: Thresholds
    training: TrainingSummary
    channel_statistics: dict[str, ChannelStatistics]  # of the training data, by channel: tells drift later
    seed: int
    versions: dict[str, str]  # of Python and the libraries
    weights_sha256: str = ""  # digest of the weights file, filled in when the bundle is saved
    version: str = ""  # digest of all of the above, the weights' digest included; filled in when the bundle is saved

    @model_validator(mode="after")
    def _fits_together(self) -> "BundleInfo":
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("a channel is there twice")
        if self.scaler is not None and self.scaler.channels != self.channels:
            raise ValueError("the channels of the scaler are not those of the model")
        if len(self.thresholds.channel_nats) not in (0, len(self.channels)):
            raise ValueError("channel_nats are not one for each channel")
        return self

    def signed(self) -> "BundleInfo":
        """The same description with its version."""
        return self.model_copy(update={"version": _digest(json.loads(self.model_dump_json()))})

    def metadata(self) -> dict[str, Any]:
        """The summary that the pipeline shows beside the artifact."""
        return {
            "val_loss": self.training.val_loss,
            "epochs": self.training.epochs,
            "best_epoch": self.training.best_epoch,
            "train_rows": self.training.train_rows,
            "val_rows": self.training.val_rows,
            "channels": len(self.channels),
            "threshold": self.thresholds.score,
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
            f"{location.uri}: no model bundle (it has no {INFO_NAME}); run the training to its end, {IF_DELETED}"
        )
    content = file.read_bytes()
    try:
        info = BundleInfo.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{file.uri}: damaged model bundle ({describe(error)}); train the model again") from error
    if info.format_version != FORMAT_VERSION:
        raise InputError(
            f"{file.uri}: bundle of format {info.format_version}, this version reads {FORMAT_VERSION}; train again"
        )
    if info.version != _digest(json.loads(content)):
        raise InputError(f"{file.uri}: changed after the training (its digest differs); train the model again")
    return info


def open_info(uri: str) -> BundleInfo:
    """`read_info` for the URI of a bundle."""
    return read_info(storage.resolve(uri))


def copy_bundle(source: Location, target: Location) -> None:
    """Copy a bundle; the copy is whole once its description, the last file, is there."""
    for name in (WEIGHTS_NAME, INFO_NAME):
        (target / name).write_bytes((source / name).read_bytes())


def _digest(values: dict[str, Any]) -> str:
    """SHA-256 of a description, its version aside, however its JSON is laid out."""
    content = {key: value for key, value in values.items() if key != "version"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

"""The model bundle: a folder with the weights and a description that lets anyone run the model; no pickle anywhere."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import safetensors.torch
import torch

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import (
    INFO_NAME,
    WEIGHTS_NAME,
    Architecture,
    BundleInfo,
    ChannelStatistics,
    Epoch,
    Thresholds,
    TrainingSummary,
    open_info,
    read_info,
)
from container_component_src.model.vae import TimeStampVAE
from container_component_src.storage import Location

__all__ = [
    "Architecture",
    "Bundle",
    "BundleInfo",
    "ChannelStatistics",
    "Epoch",
    "Thresholds",
    "TrainingSummary",
    "open_info",
]


@dataclass(frozen=True)
class Bundle:
    """A trained model with its description."""

    info: BundleInfo
    model: TimeStampVAE

    def save(self, location: Location) -> BundleInfo:
        """Write the bundle; it is whole once its description, the last file, is there.

        Returns:
            The description as written, with the digest of the weights and its version.
        """
        weights = safetensors.torch.save(
            {name: tensor.contiguous().cpu() for name, tensor in self.model.state_dict().items()}
        )
        info = self.info.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()}).signed()
        (location / WEIGHTS_NAME).write_bytes(weights)
        (location / INFO_NAME).write_bytes(info.model_dump_json(indent=1).encode())
        return info

    @classmethod
    def load(cls, uri: str) -> "Bundle":
        """Read a bundle; the model is in evaluation mode on the CPU.

        Raises:
            InputError: There is no bundle, or a file of it is missing, damaged or not of this bundle.
        """
        location = storage.resolve(uri)
        info = read_info(location)
        file = location / WEIGHTS_NAME
        weights = file.read_bytes()
        if hashlib.sha256(weights).hexdigest() != info.weights_sha256:
            raise InputError(
                f"{file.uri}: the weights are not those that {INFO_NAME} describes (SHA-256 differs); train again"
            )
        try:
            tensors = safetensors.torch.load(weights)
            with torch.device("meta"):  # which takes no memory, whatever sizes the description claims
                build(info.architecture, len(info.channels)).load_state_dict(tensors, assign=True)
            model = build(info.architecture, len(info.channels))
            model.load_state_dict(tensors)
        except (RuntimeError, safetensors.SafetensorError) as error:
            raise InputError(
                f"{file.uri}: the weights do not fit the architecture in {INFO_NAME}; train again"
            ) from error
        return cls(info, model.eval())

    def check_channels(self, names: Sequence[str]) -> None:
        """Refuse data whose channels are not the model's, in its order.

        Raises:
            InputError: Names the first channel that differs.
        """
        check_same_channels(self.info.channels, names, "the model", "the data")


def check_same_channels(expected: Sequence[str], names: Sequence[str], expected_of: str, names_of: str) -> None:
    """Compare channel names and their order.

    Raises:
        InputError: Names the first channel that differs, and whose it is.
    """
    for position, (wanted, found) in enumerate(zip_longest(expected, names)):
        if wanted == found:
            continue
        if found is None or (wanted is not None and wanted not in names):
            raise InputError(
                f"channel '{wanted}' of {expected_of} is missing in {names_of}; use data of the same split"
            )
        if wanted is None or found not in expected:
            raise InputError(f"channel '{found}' of {names_of} is unknown to {expected_of}; use data of the same split")
        raise InputError(
            f"channel {position} is '{found}' in {names_of} but '{wanted}' in {expected_of}; use the same order"
        )


def build(architecture: Architecture, channels: int) -> TimeStampVAE:
    """An untrained network."""
    return TimeStampVAE(
        channels,
        architecture.latent_dim,
        architecture.hidden_dims,
        architecture.variance_floor,
        architecture.window_steps,
    )

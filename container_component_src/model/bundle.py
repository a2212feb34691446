"""The model bundle: a folder with the weights and a description of the model, without pickle."""

import hashlib
from dataclasses import dataclass

import safetensors.torch
import torch

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import (
    INFO_NAME,
    WEIGHTS_NAME,
    Architecture,
    BundleInfo,
    check_calibrated,
    open_info,
)
from container_component_src.model.card import write_card
from container_component_src.model.ensemble import Ensemble
from container_component_src.model.forecaster import Forecaster
from container_component_src.model.hardware import Threads, best_device
from container_component_src.model.network import Network
from container_component_src.model.reproducible import use_strict_products
from container_component_src.model.row_scorer import BATCH_ROWS, RowScorer
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.training import Detector
from container_component_src.storage import Location

_FIX = "train again"


@dataclass(frozen=True)
class Bundle:
    """A trained model and its description."""

    info: BundleInfo
    model: Network

    def save(self, location: Location) -> BundleInfo:
        """Write the weights, the model card, and then the description, which makes the bundle complete.

        Returns:
            The written description, with the digest of the weights and the version.
        """
        weights = safetensors.torch.save(
            {name: tensor.contiguous().cpu() for name, tensor in self.model.state_dict().items()}
        )
        info = self.info.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()}).with_version()
        (location / WEIGHTS_NAME).write_bytes(weights)
        write_card(location, info)
        (location / INFO_NAME).write_bytes(info.model_dump_json(indent=1).encode())
        return info

    @classmethod
    def load(cls, uri: str) -> "Bundle":
        """Read a bundle; the model is in evaluation mode on the CPU.

        Raises:
            InputError: There is no bundle, or a file is missing, damaged or of another bundle.
        """
        return cls.of(open_info(uri), uri)

    @classmethod
    def of(cls, info: BundleInfo, uri: str) -> "Bundle":
        """Read the weights of a bundle whose description is known; see `load`."""
        file = storage.resolve(uri) / WEIGHTS_NAME
        weights = file.read_bytes(limit=None)
        if hashlib.sha256(weights).hexdigest() != info.weights_sha256:
            raise InputError(f"{file.uri}: not the weights that {INFO_NAME} describes (SHA-256 differs)", fix=_FIX)
        try:
            tensors = safetensors.torch.load(weights)
            with torch.device("meta"):  # uses no memory, whatever sizes the description has
                build(info.architecture, len(info.varying)).load_state_dict(tensors, assign=True)
            model = build(info.architecture, len(info.varying))
            model.load_state_dict(tensors)
        except (RuntimeError, safetensors.SafetensorError) as error:
            raise InputError(f"{file.uri}: the weights do not fit the architecture in {INFO_NAME}", fix=_FIX) from error
        return cls(info, model.eval())

    @classmethod
    def load_calibrated(cls, uri: str) -> "Bundle":
        """Read a bundle that says when the model raises alarms.

        Raises:
            InputError: As for `load`; or the model is not calibrated.
        """
        bundle = cls.load(uri)
        check_calibrated(bundle.info, uri)
        return bundle

    def for_many_rows(self) -> "Bundle":
        """Move the model to the GPU if there is one, use the threads that it gains from, and return the bundle."""
        device = best_device()
        threads = Threads(self.model, BATCH_ROWS, device)
        self.model.register_forward_pre_hook(lambda *_: threads.follow())
        self.model.to(device)
        return self

    @property
    def scorer(self) -> RowScorer:
        """Scorer of all channels with this model."""
        info = self.info
        return RowScorer.of(self.model, info.channels, info.constant_spreads, info.max_gap_ns)


def build(architecture: Architecture, channels: int, beta: float = 1.0) -> Network:
    """Return an untrained network.

    Args:
        architecture: Sizes of the network.
        channels: Number of values of a time step.
        beta: Weight of the KL divergence in the loss of a training.
    """
    use_strict_products()
    hidden, shared = architecture.hidden_dims, (architecture.variance_floor, architecture.window_steps)

    def vae() -> TimeStampVAE:
        return TimeStampVAE(channels, architecture.latent_dim, hidden, *shared, beta)

    def forecaster() -> Forecaster:
        return Forecaster(channels, hidden, *shared)

    match architecture.detector:
        case Detector.VAE:
            return vae()
        case Detector.FORECASTER:
            return forecaster()
    return Ensemble({Detector.VAE: vae(), Detector.FORECASTER: forecaster()})

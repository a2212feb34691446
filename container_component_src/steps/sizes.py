"""The memory that a training takes at least, from its arguments alone, so that sizes beyond it are refused early."""

from dataclasses import dataclass
from typing import Protocol

from container_component_src.errors import InputError
from container_component_src.limits import usable_memory
from container_component_src.steps.shared import Launching
from container_component_src.steps.training import Detector, Hyperparameters
from container_component_src.steps.tuning import SearchSpace
from container_component_src.values import amount

BLOCK_ROWS = 2_048  # rows handled at once: enough for a cheap call, few enough that their memory is used again
_FLOAT = 4  # bytes
_COPIES = 4  # of the weights: themselves, their gradients, and the two moments of Adam


class PodSize(Protocol):
    """What a pod that trains may use."""

    @property
    def memory(self) -> str:
        """Memory as Kubernetes writes it."""

    @property
    def gpus(self) -> int:
        """Number of GPUs, which have the memory of the training."""


@dataclass(frozen=True)
class AvailableMemory:
    """Memory for a training.

    Attributes:
        size: Bytes.
        place: What has it, for messages.
        only_loads: Whether a GPU has most of what a training needs, so that here are only the weights and some rows.
    """

    size: int
    place: str
    only_loads: bool = False

    @classmethod
    def of_machine(cls) -> "AvailableMemory":
        """Return the memory of this machine or container."""
        return cls(usable_memory(), "this machine")

    @classmethod
    def of_pod(cls, pod: PodSize) -> "AvailableMemory":
        """Return the memory of a pod."""
        return cls(amount(pod.memory), f"a pod (memory {pod.memory})", bool(pod.gpus))

    @classmethod
    def of_jobs(cls, step: Launching) -> "AvailableMemory":
        """Return the memory of the jobs that a step starts; those on this machine share it."""
        return cls.of_machine() if step.backend == "local" else cls.of_pod(step.pods)


def weights(channels: int, point: Hyperparameters, detector: Detector = Detector.VAE) -> int:
    """Return the number of weights of the networks of a detector."""
    vae, forecaster = _vae_weights(channels, point), _forecaster_weights(channels, point)
    match detector:
        case Detector.VAE:
            return vae
        case Detector.FORECASTER:
            return forecaster
    return vae + forecaster


def _forecaster_weights(channels: int, point: Hyperparameters) -> int:
    inputs, (first, second) = channels * (point.window_steps - 1), point.hidden_dims
    network = (inputs + 1) * first + (first + 1) * second + (second + 1) * channels
    return network + inputs * channels + channels  # with the linear map, and a variance for each channel


def _vae_weights(channels: int, point: Hyperparameters) -> int:
    inputs, latent, (first, second) = channels * point.window_steps, point.latent_dim, point.hidden_dims
    encoder = (inputs + 1) * first + (first + 1) * second + (second + 1) * 2 * latent
    decoder = (latent + 1) * second + (second + 1) * first + (first + 1) * inputs
    return encoder + decoder + 2 * inputs * latent + channels  # with the linear maps, and a variance for each channel


def check_memory(
    memory: AvailableMemory,
    point: Hyperparameters,
    channels: int = 1,
    rows: int = 0,
    processes: int = 1,
    nodes: int = 1,
    detector: Detector = Detector.VAE,
) -> None:
    """Check that memory can hold a training: its weights, one batch and one block of rows.

    Args:
        memory: What there is.
        point: Sizes of the layers, the batch and the window.
        channels: Channels of the data; the least number if they are not known yet.
        rows: Rows of the data; 0 if they are not known yet.
        processes: Processes that train in this memory.
        nodes: Processes that share a batch.
        detector: Which networks are trained.

    Raises:
        InputError: It cannot; the message names the sizes.
    """
    inputs, hidden = channels * point.window_steps, sum(point.hidden_dims)
    activations = point.batch_size // nodes * (2 * inputs + 2 * hidden + 3 * point.latent_dim)  # that a gradient needs
    block = 2 * min(rows, BLOCK_ROWS) * inputs  # windows, and what the encoder makes of them
    network = weights(channels, point, detector)
    floats = network + block if memory.only_loads else _COPIES * network + max(activations, block)
    needed = processes * floats * _FLOAT
    if needed > memory.size:
        first, second = point.hidden_dims
        raise InputError(
            f"a training with latent_dim {point.latent_dim}, hidden_dims {first},{second}, batch_size "
            f"{point.batch_size}, window_steps {point.window_steps} and {channels} channels or more needs at least "
            f"{_shown(needed)} of memory"
            + (f" in {processes} processes" if processes > 1 else "")
            + f", but {memory.place} has {_shown(memory.size)}",
            fix="use smaller sizes or more memory",
        )


def largest(space: SearchSpace) -> Hyperparameters:
    """Return the point of a search space that needs the most memory."""
    points = (
        Hyperparameters(
            latent_dim=max(space.latent_dims),
            hidden_dims=dims,
            batch_size=max(space.batch_sizes),
            window_steps=max(space.window_steps),
        )
        for dims in space.hidden_dims
    )
    return max(points, key=lambda point: (weights(1, point), point.hidden_dims))


def _shown(size: int) -> str:
    return f"{min(size, 2**80) / 2**30:,.1f} GiB"

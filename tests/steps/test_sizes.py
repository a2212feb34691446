"""The least memory of a training."""

import pytest

from container_component_src.errors import InputError
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.shared import PodSettings
from container_component_src.steps.sizes import BLOCK_ROWS, AvailableMemory, check_memory, largest, weights
from container_component_src.steps.training import Hyperparameters
from container_component_src.steps.tuning import SearchSpace

SMALL = Hyperparameters(latent_dim=2, hidden_dims=(8, 4), batch_size=16)
LONG = SMALL.model_copy(update={"window_steps": 10_000})
GIB = 2**30


@pytest.mark.parametrize(
    ("channels", "latent_dim", "hidden_dims", "window_steps"), [(5, 2, (7, 4), 1), (3, 8, (16, 5), 4)]
)
def test_weights_are_those_of_the_network(
    channels: int, latent_dim: int, hidden_dims: tuple[int, int], window_steps: int
) -> None:
    model = TimeStampVAE(channels, latent_dim, hidden_dims, window_steps=window_steps)
    point = Hyperparameters(latent_dim=latent_dim, hidden_dims=hidden_dims, window_steps=window_steps)
    assert weights(channels, point) == sum(tensor.numel() for tensor in model.parameters())


@pytest.mark.parametrize(
    "sizes",
    [
        {"latent_dim": 100_000_000},
        {"latent_dim": 10**400},
        {"hidden_dims": (1_000_000, 1_000_000)},
        {"batch_size": 1_000_000_000},
    ],
)
def test_sizes_beyond_the_memory_are_refused(sizes: dict[str, object]) -> None:
    check_memory(AvailableMemory(GIB, "here"), SMALL)
    with pytest.raises(
        InputError, match=rf"{next(iter(sizes))} .*needs at least .* GiB of memory, but here has 1.0 GiB"
    ):
        check_memory(AvailableMemory(GIB, "here"), SMALL.model_copy(update=sizes))


def test_windows_of_many_channels_are_refused() -> None:
    check_memory(AvailableMemory(GIB, "here"), LONG, channels=20)
    with pytest.raises(InputError, match="window_steps 10000 and 400 channels"):
        check_memory(AvailableMemory(GIB, "here"), LONG, channels=400)
    with pytest.raises(InputError, match="window_steps 10000 and 7 channels"):
        check_memory(AvailableMemory(GIB, "here"), LONG, channels=7, rows=10 * BLOCK_ROWS)


def test_processes_share_memory_and_nodes_share_a_batch() -> None:
    point = SMALL.model_copy(update={"batch_size": 4_000_000})  # half a GiB
    check_memory(AvailableMemory(GIB, "here"), point)
    with pytest.raises(InputError, match="in 4 processes"):
        check_memory(AvailableMemory(GIB, "here"), point, processes=4)
    check_memory(AvailableMemory(GIB, "here"), point, processes=4, nodes=4)


def test_memory_of_pods() -> None:
    assert AvailableMemory.of_pod(PodSettings(memory="2Gi")) == AvailableMemory(2 * GIB, "a pod (memory 2Gi)")
    wide = SMALL.model_copy(update={"batch_size": 1_000_000_000})
    check_memory(AvailableMemory.of_pod(PodSettings(memory="2Gi", gpus=1)), wide)  # the GPU has the batch


def test_largest_point_of_a_search_space() -> None:
    space = SearchSpace(
        latent_dims=(8, 2), hidden_dims=((4, 2), (32, 16), (8, 8)), batch_sizes=(16, 64), window_steps=(1, 5, 3)
    )
    point = largest(space)
    assert (point.latent_dim, point.hidden_dims, point.batch_size, point.window_steps) == (8, (32, 16), 64, 5)

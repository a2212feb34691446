"""The nodes of a distributed training, as operators tell them."""

import pytest

from container_component_src.errors import InputError
from container_component_src.model.world import World, WorldEnvironment

OPERATOR = {"MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456", "WORLD_SIZE": "3", "RANK": "2"}
TRAINER = {
    "PET_MASTER_ADDR": "job-node-0-0.job",
    "PET_MASTER_PORT": "29500",
    "PET_NNODES": "3",
    "PET_NODE_RANK": "2",
    "PET_NPROC_PER_NODE": "1",
}


@pytest.mark.parametrize(
    ("environment", "world"),
    [
        (OPERATOR, World("job-master-0", 23456, 3, 2)),
        (TRAINER, World("job-node-0-0.job", 29500, 3, 2)),
        (OPERATOR | TRAINER, World("job-master-0", 23456, 3, 2)),
    ],
)
def test_both_operators_are_understood(environment: dict[str, str], world: World) -> None:
    assert World.from_environment(environment) == world


@pytest.mark.parametrize("variables", [OPERATOR, TRAINER])
def test_a_missing_variable_is_named(variables: dict[str, str]) -> None:
    environment = dict(list(variables.items())[1:])
    with pytest.raises(InputError, match="environment variable MASTER_ADDR is missing"):
        World.from_environment(environment)


def test_lightning_is_told() -> None:
    environment = WorldEnvironment(World("first", 29500, 3, 2))
    assert environment.main_address == "first"
    assert environment.main_port == 29500
    assert environment.world_size() == 3
    assert environment.global_rank() == environment.node_rank() == 2
    assert environment.local_rank() == 0
    assert environment.creates_processes_externally

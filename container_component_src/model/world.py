"""The nodes of a distributed training, as the operator tells them in the environment."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from lightning.fabric.plugins.environments.kubeflow import KubeflowEnvironment

from container_component_src.errors import InputError

# Address and port of the first node, number of nodes, and rank of this one: of the training operator, and of Trainer.
_VARIABLES = (
    ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK"),
    ("PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_NNODES", "PET_NODE_RANK"),
)


class World(NamedTuple):
    """The nodes, with one process each."""

    address: str = ""  # of the first node
    port: int = 0
    size: int = 1  # number of nodes
    rank: int = 0  # of this node

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "World":
        """Read the variables that an operator and run_pytorchjob set.

        Raises:
            InputError: A variable is missing.
        """
        for names in _VARIABLES:
            if all(name in environment for name in names):
                address, port, size, rank = (environment[name] for name in names)
                return cls(address, int(port), int(size), int(rank))
        missing = [name for name in _VARIABLES[0] if name not in environment]
        raise InputError(
            f"environment variable {missing[0]} is missing, which operators of trainings and run_pytorchjob set",
            fix="use --run-as-pytorchjob false",
        )


class WorldEnvironment(KubeflowEnvironment):
    """Tells Lightning about the nodes; Lightning's own class knows one operator's variables only."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    @property
    def main_address(self) -> str:
        """Address of the first node."""
        return self._world.address

    @property
    def main_port(self) -> int:
        """Port of the first node."""
        return self._world.port

    def world_size(self) -> int:
        """Return the number of nodes."""
        return self._world.size

    def global_rank(self) -> int:
        """Return the rank of this node."""
        return self._world.rank

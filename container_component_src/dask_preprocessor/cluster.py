"""What a Dask cluster for the preprocessing must be like, whichever backend starts it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterSpec:
    """A Dask cluster."""

    num_workers: int

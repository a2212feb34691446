"""What a Dask cluster for the preprocessing must be like, whichever backend starts it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterSpec:
    """A Dask cluster."""

    num_workers: int
    image: str = ""  # of scheduler and workers, on Kubernetes
    namespace: str = ""  # on Kubernetes

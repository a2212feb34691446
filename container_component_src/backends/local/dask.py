"""A Dask cluster of processes of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, LocalCluster

from container_component_src.dask_preprocessor.cluster import ClusterSpec


@contextmanager
def dask_client(spec: ClusterSpec) -> Iterator[Client]:
    """Start a local cluster, hand out its client, and stop both when the block is left."""
    cluster = LocalCluster(
        n_workers=spec.num_workers,
        threads_per_worker=1,
        dashboard_address=None,  # two runs on one machine would compete for its port
        silence_logs=False,
    )
    with cluster, Client(cluster) as client:
        yield client

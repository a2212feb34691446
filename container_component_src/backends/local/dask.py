"""Preprocessing on this machine: a Dask cluster whose workers are threads of this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from container_component_src.dask_preprocessor.cluster import DASK_SETTINGS
from container_component_src.steps.data import ClusterSpec


@contextmanager
def dask_client(spec: ClusterSpec) -> Iterator[Client]:
    """Yield a client of a local cluster; both are stopped when the block ends."""
    _log_to_stdout()
    with dask.config.set(DASK_SETTINGS), _cluster(spec) as cluster, Client(cluster) as client:
        if spec.adaptive:
            cluster.adapt(minimum=spec.min_workers, maximum=spec.max_workers)
        yield client


def _cluster(spec: ClusterSpec) -> LocalCluster:
    """Return a cluster of threads: pyarrow and numpy release the lock of Python, and processes start slowly."""
    return LocalCluster(
        n_workers=spec.first_workers,
        threads_per_worker=1,
        processes=False,
        memory_limit=None,  # each worker would take the memory of the process for its own
        dashboard_address=None,
        silence_logs=logging.WARNING,
    )


def _log_to_stdout() -> None:
    """Make Dask log to stdout, as the step does. The stderr of a step is reserved for its one-line error."""
    library = logging.getLogger("distributed")
    library.handlers.clear()
    library.propagate = True
    library.setLevel(logging.WARNING)

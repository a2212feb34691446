"""Preprocessing on this machine: a Dask cluster of processes."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster, Worker, WorkerPlugin

from container_component_src.dask_preprocessor.cluster import DASK_SETTINGS
from container_component_src.steps.data import ClusterSpec


@contextmanager
def dask_client(spec: ClusterSpec) -> Iterator[Client]:
    """Yield a client of a local cluster; both are stopped when the block ends."""
    with dask.config.set(DASK_SETTINGS), _cluster(spec) as cluster, Client(cluster) as client:
        client.register_plugin(_LogToStdout())
        if spec.adaptive:
            cluster.adapt(minimum=spec.min_workers, maximum=spec.max_workers)
        yield client


def _cluster(spec: ClusterSpec) -> LocalCluster:
    return LocalCluster(
        n_workers=spec.first_workers,
        threads_per_worker=1,
        dashboard_address=":0",  # two runs on one machine cannot share a fixed port
        silence_logs=logging.WARNING,
    )


class _LogToStdout(WorkerPlugin):
    """Makes workers log to stdout. The stderr of a step is reserved for its one-line error."""

    def setup(self, worker: Worker) -> None:
        """Redirect the logs and warnings of a worker process."""
        logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
        logging.captureWarnings(True)
        library = logging.getLogger("distributed")
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)

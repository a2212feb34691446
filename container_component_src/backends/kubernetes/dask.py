"""Preprocessing on a cluster: a Dask cluster whose scheduler and workers the Dask operator runs."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from distributed import Client
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from container_component_src.backends.kubernetes.dask_connection import connected, scale
from container_component_src.backends.kubernetes.dask_manifest import CLUSTER_LABEL, COMPONENT_LABEL, manifest
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import states
from container_component_src.cluster.events import warnings_about
from container_component_src.cluster.kinds import DASK_CLUSTER
from container_component_src.cluster.logs import last_lines, list_pods
from container_component_src.cluster.owned_objects import owned_object
from container_component_src.cluster.pod_states import is_pod_ready, obstacles, restarts
from container_component_src.cluster.start_up import StartUp
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.steps.data import ClusterSpec
from container_component_src.steps.shared import PodSettings

START_TIMEOUT = 900.0  # seconds; images must be pulled, and nodes may have to be added
_FAILED_PHASE = "Error"
_MAX_RESTARTS = 3  # restarts after which a container that is not ready counts as failed for good

logger = logging.getLogger(__name__)


@contextmanager
def dask_client(cluster: Cluster, step: Step, pods: PodSettings, spec: ClusterSpec) -> Iterator[Client]:
    """Yield a client of a Dask cluster, which is deleted when the block ends.

    Raises:
        InputError: The cluster cannot be built from these options.
        StepError: The API refused something, pods did not start in time, or they run other versions than this process.
    """
    wanted = manifest(step, pods, spec)
    name = wanted["metadata"]["name"]
    with owned_object(cluster, step, DASK_CLUSTER, wanted, failed=_has_failed):
        _await_scheduler(cluster, name)
        with _explain_losses(cluster, name), connected(name, cluster) as (kube, dask):
            scale(kube, spec, cluster.patience)
            _await_workers(cluster, dask, name, spec.first_workers)
            versions: Any = dask.get_versions()
            check_versions(versions)
            logger.info("Dask cluster %s is ready", name)
            yield dask


def check_versions(versions: Mapping[str, Any]) -> None:
    """Check that scheduler and workers run the same package versions as this process.

    Data and functions are sent pickled, which only works between equal versions.

    Args:
        versions: Versions as `Client.get_versions` returns them.

    Raises:
        StepError: A package has another version.
    """
    own = versions["client"]["packages"]
    for place, found in {"scheduler": versions["scheduler"], **versions["workers"]}.items():
        for package, version in found["packages"].items():
            if package in own and version != own[package]:
                raise StepError(
                    f"the Dask {place if place == 'scheduler' else 'worker'} has {package} {version}, this step "
                    f"{own[package]}",
                    fix="give --dask-worker-image the image that the step runs in",
                )


def _has_failed(found: Manifest) -> bool:
    return bool(found.get("status", {}).get("phase") == _FAILED_PHASE)


def _await_scheduler(cluster: Cluster, name: str) -> None:
    """Wait for the scheduler; KubeCluster would wait forever for one that does not start."""

    def arrived(schedulers: list[Any]) -> int:
        # The phase is ignored: the operator may set "Pending" after "Running", and then it stays.
        return sum(map(is_pod_ready, schedulers))

    _await(cluster, name, "scheduler", 1, arrived, name)


def _await_workers(cluster: Cluster, dask: Client, name: str, count: int) -> None:
    def arrived(_: list[Any]) -> int:
        if dask.status == "closed":  # the client closes when it cannot reconnect
            raise CommClosedError("the client has lost its scheduler")
        return len(dask.scheduler_info(n_workers=-1).get("workers", {}))

    _await(cluster, name, "worker", count, arrived, f"{name}-default")  # the operator's name of the worker group


def _await(
    cluster: Cluster, name: str, component: str, count: int, arrived: Callable[[list[Any]], int], objects: str
) -> None:
    """Wait for the pods of a component, and report why they do not start.

    Args:
        cluster: Cluster of the pods.
        name: Name of the DaskCluster.
        component: `scheduler` or `worker`, which is also the name of the container.
        count: Number of pods that are needed.
        arrived: Returns how many there are, given the pods.
        objects: Prefix of the names of the component's Deployments.

    Raises:
        StepError: The pods did not start in time, cannot start, or the cluster was deleted.
    """
    what = f"{component}s of Dask cluster {name}"
    start_up = StartUp(cluster, f"the {what}")
    deadline = time.monotonic() + START_TIMEOUT
    for found in states(cluster, DASK_CLUSTER, name, math.inf, what):
        if _has_failed(found):
            raise StepError(f"the Dask operator refuses cluster {name}", fix="read its log")
        members = list_pods(cluster, f"{CLUSTER_LABEL}={name},{COMPONENT_LABEL}={component}")
        present = arrived(members)
        if present >= count:
            return
        _check_restarts(cluster, members, component)
        start_up.check(members, count, [objects])
        if time.monotonic() >= deadline:
            reasons = _reasons(cluster, members, component, count, objects)
            if not reasons and not found.get("status", {}).get("phase"):
                reasons = ["the Dask operator does not run; install it"]
            raise StepError("; ".join([f"{present} of {count} {what} came in {START_TIMEOUT:g} s", *reasons]))


def _check_restarts(cluster: Cluster, members: list[Any], component: str) -> None:
    for pod in members:
        for status in pod.status.container_statuses or []:
            if status.restart_count >= _MAX_RESTARTS and not status.ready:
                lines = " | ".join(last_lines(cluster, pod.metadata.name, component))
                raise StepError("; ".join([f"the Dask {component} keeps failing", *restarts([pod]), lines]))


def _reasons(cluster: Cluster, members: list[Any], component: str, count: int, objects: str) -> list[str]:
    """Return why pods have not started."""
    events = warnings_about(cluster, [objects]) if len(members) < count else []
    logs = [
        f"pod {pod.metadata.name}: {' | '.join(last_lines(cluster, pod.metadata.name, component))}"
        for pod in members[:1]
    ]
    return [*obstacles(members), *events] or logs


@contextmanager
def _explain_losses(cluster: Cluster, name: str) -> Iterator[None]:
    """Raise errors that say what became of scheduler and workers; those of Dask only say that they are gone."""
    try:
        yield
    except (CommClosedError, FutureCancelledError) as error:
        next(states(cluster, DASK_CLUSTER, name, 0, ""))  # raises if it was deleted
        raise _loss(
            cluster, name, "scheduler", "its scheduler is gone", "run the step again, or raise --memory"
        ) from error
    except KilledWorker as error:
        raise _loss(cluster, name, "worker", "workers keep dying over one partition", "raise --memory") from error


def _loss(cluster: Cluster, name: str, component: str, problem: str, fix: str) -> StepError:
    found = restarts(list_pods(cluster, f"{CLUSTER_LABEL}={name},{COMPONENT_LABEL}={component}"))
    return StepError("; ".join([f"Dask cluster {name}: {problem}", *found]), fix=fix)

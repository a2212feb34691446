"""Preprocessing on a cluster: scheduler and workers that the Dask operator runs."""

import json
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
from kubernetes import client
from kubernetes.utils.quantity import parse_quantity

from container_component_src.backends.kubernetes.dask_connection import connected, scale
from container_component_src.cluster.access import Cluster, Manifest, to_manifest
from container_component_src.cluster.conditions import states
from container_component_src.cluster.events import warnings_about
from container_component_src.cluster.kinds import DASK_CLUSTER
from container_component_src.cluster.logs import last_lines, list_pods
from container_component_src.cluster.owned_objects import owned_object
from container_component_src.cluster.pod_states import is_pod_ready, obstacles, restarts
from container_component_src.cluster.pods import SIDECAR_OFF, check, container, pod_spec
from container_component_src.cluster.start_up import StartUp
from container_component_src.cluster.step import Step
from container_component_src.dask_preprocessor.cluster import DASK_SETTINGS
from container_component_src.errors import StepError
from container_component_src.steps.data import ClusterSpec
from container_component_src.steps.shared import PodSettings

CLUSTER_LABEL, COMPONENT_LABEL = "dask.org/cluster-name", "dask.org/component"  # that the operator gives to pods
COMM_PORT, HTTP_PORT = 8786, 8787
# Seconds without work after which the operator deletes a cluster, even under a connected client: longer than this step
# waits for workers and for an API server that is away, one after the other.
IDLE_TIMEOUT = 3_600
START_TIMEOUT = 900.0  # seconds for images to be pulled, and for nodes to be added
_FAILED_PHASE = "Error"
_MOST_RESTARTS = 3  # of a container that has not arrived; it will not do so by itself
# Without the API route the operator runs a function in the scheduler every five seconds to see whether it is idle.
_SCHEDULER_ROUTES = tuple(
    f"distributed.http.{name}"
    for name in (
        "scheduler.prometheus",
        "scheduler.info",
        "scheduler.json",
        "scheduler.api",
        "health",
        "proxy",
        "statics",
    )
)

logger = logging.getLogger(__name__)


def manifest(step: Step, pods: PodSettings, spec: ClusterSpec) -> Manifest:
    """The DaskCluster of a preprocessing.

    The operator hands labels and annotations on to the pods. Commands stand in `args`, where it looks for them; the
    image has no entry point of its own.

    Raises:
        InputError: An option that a cluster needs is missing.
    """
    check(pods, "a Dask cluster")
    name = step.name("dask", DASK_CLUSTER)
    metadata = step.metadata(name, pods.namespace)
    threads = max(1, int(parse_quantity(pods.cpu)))  # by default there would be one for each core of the node
    worker = ["dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", str(threads), "--no-dashboard"]
    return {
        "apiVersion": DASK_CLUSTER.api_version,
        "kind": DASK_CLUSTER.name,
        "metadata": {**metadata, "annotations": dict(SIDECAR_OFF)},
        "spec": {
            "idleTimeout": IDLE_TIMEOUT,
            "worker": {"replicas": spec.first_workers, "spec": _pod_spec(step, pods, "worker", worker)},
            "scheduler": {
                "spec": _pod_spec(
                    step,
                    pods,
                    "scheduler",
                    ["dask", "scheduler", "--host", "0.0.0.0"],  # noqa: S104 - the pod's own address
                    ports=[
                        client.V1ContainerPort(name="tcp-comm", container_port=COMM_PORT),
                        client.V1ContainerPort(name="http-dashboard", container_port=HTTP_PORT),
                    ],
                    env=[
                        client.V1EnvVar(
                            name=_variable("distributed.scheduler.http.routes"), value=json.dumps(_SCHEDULER_ROUTES)
                        )
                    ],
                    # New connections fail while the scheduler is not ready, so a busy node must not make it so: it is
                    # ready with the first answer, and stays so through a minute of refused or five of slow ones.
                    readiness_probe=client.V1Probe(
                        http_get=client.V1HTTPGetAction(path="/health", port="http-dashboard"),
                        period_seconds=2,
                        timeout_seconds=10,
                        failure_threshold=30,
                    ),
                ),
                "service": _service(name),
            },
        },
    }


@contextmanager
def dask_client(cluster: Cluster, step: Step, pods: PodSettings, spec: ClusterSpec) -> Iterator[Client]:
    """A client of a Dask cluster that is deleted when the block is left.

    Raises:
        InputError: The cluster cannot be built as the options say.
        StepError: The API refused something, pods did not start in time, or they run other versions than this process.
    """
    wanted = manifest(step, pods, spec)
    name = wanted["metadata"]["name"]
    with owned_object(cluster, step, DASK_CLUSTER, wanted, failed=_has_failed):
        _await_scheduler(cluster, name)
        with _losses_explained(cluster, name), connected(name, cluster) as (kube, dask):
            scale(kube, spec, cluster.patience)
            _await_workers(cluster, dask, name, spec.first_workers)
            versions: Any = dask.get_versions()
            check_versions(versions)
            logger.info("Dask cluster %s is ready", name)
            yield dask


def check_versions(versions: Mapping[str, Any]) -> None:
    """Compare what runs on scheduler and workers with what runs here.

    Args:
        versions: As `Client.get_versions` returns them.

    Raises:
        StepError: A package differs; data and functions are sent pickled, which only equal versions understand.
    """
    here = versions["client"]["packages"]
    for place, found in {"scheduler": versions["scheduler"], **versions["workers"]}.items():
        for package, version in found["packages"].items():
            if package in here and version != here[package]:
                raise StepError(
                    f"the Dask {place if place == 'scheduler' else 'worker'} has {package} {version}, this step "
                    f"{here[package]}; give --dask-worker-image the image that the step runs in"
                )


def _pod_spec(step: Step, pods: PodSettings, name: str, arguments: list[str], **options: Any) -> Manifest:
    settings = [client.V1EnvVar(name=_variable(key), value=str(value)) for key, value in DASK_SETTINGS.items()]
    main = container(name, pods, [], step.run_id, env=settings + options.pop("env", []), **options)
    main.command, main.args = None, arguments
    return to_manifest(pod_spec(pods, main, "Always"))


def _variable(key: str) -> str:
    """The environment variable of a setting of Dask."""
    return f"DASK_{key.upper().replace('.', '__')}"


def _service(name: str) -> Manifest:
    ports = {"tcp-comm": COMM_PORT, "http-dashboard": HTTP_PORT}
    return to_manifest(
        client.V1ServiceSpec(
            type="ClusterIP",
            selector={CLUSTER_LABEL: name, COMPONENT_LABEL: "scheduler"},
            ports=[
                client.V1ServicePort(name=port, port=number, target_port=port, protocol="TCP")
                for port, number in ports.items()
            ],
        )
    )


def _has_failed(found: Manifest) -> bool:
    return bool(found.get("status", {}).get("phase") == _FAILED_PHASE)


def _await_scheduler(cluster: Cluster, name: str) -> None:
    """KubeCluster waits without an end for a scheduler that does not start."""

    def arrived(schedulers: list[Any]) -> int:
        # Whatever the phase: the operator's "Pending" may come after its "Running", and stays then.
        return sum(map(is_pod_ready, schedulers))

    _await(cluster, name, "scheduler", 1, arrived, name)


def _await_workers(cluster: Cluster, dask: Client, name: str, count: int) -> None:
    def arrived(_: list[Any]) -> int:
        if dask.status == "closed":  # it did so when it could not reconnect
            raise CommClosedError("the client has lost its scheduler")
        return len(dask.scheduler_info(n_workers=-1).get("workers", {}))

    _await(cluster, name, "worker", count, arrived, f"{name}-default")  # the operator's name of the worker group


def _await(
    cluster: Cluster, name: str, component: str, count: int, arrived: Callable[[list[Any]], int], objects: str
) -> None:
    """Wait for the pods of a component, and say what holds them up.

    Args:
        cluster: Where they are.
        name: Of the DaskCluster.
        component: `scheduler` or `worker`, also the name of the container.
        count: How many are needed.
        arrived: Says how many there are, given the pods.
        objects: What the names of the component's Deployments start with.

    Raises:
        StepError: They did not come in time, cannot come, or the cluster was deleted.
    """
    what = f"{component}s of Dask cluster {name}"
    start_up = StartUp(cluster, f"the {what}")
    deadline = time.monotonic() + START_TIMEOUT
    for found in states(cluster, DASK_CLUSTER, name, math.inf, what):
        if _has_failed(found):
            raise StepError(f"the Dask operator refuses cluster {name}; read its log")
        members = list_pods(cluster, f"{CLUSTER_LABEL}={name},{COMPONENT_LABEL}={component}")
        here = arrived(members)
        if here >= count:
            return
        _check_restarts(cluster, members, component)
        start_up.check(members, count, [objects])
        if time.monotonic() >= deadline:
            reasons = _reasons(cluster, members, component, count, objects)
            if not reasons and not found.get("status", {}).get("phase"):
                reasons = ["the Dask operator does not run; install it"]
            raise StepError("; ".join([f"{here} of {count} {what} came in {START_TIMEOUT:g} s", *reasons]))


def _check_restarts(cluster: Cluster, members: list[Any], component: str) -> None:
    for pod in members:
        for status in pod.status.container_statuses or []:
            if status.restart_count >= _MOST_RESTARTS and not status.ready:
                said = " | ".join(last_lines(cluster, pod.metadata.name, component))
                raise StepError("; ".join([f"the Dask {component} ends again and again", *restarts([pod]), said]))


def _reasons(cluster: Cluster, members: list[Any], component: str, count: int, objects: str) -> list[str]:
    """Why pods have not arrived."""
    events = warnings_about(cluster, [objects]) if len(members) < count else []
    logs = [
        f"pod {pod.metadata.name}: {' | '.join(last_lines(cluster, pod.metadata.name, component))}"
        for pod in members[:1]
    ]
    return [*obstacles(members), *events] or logs


@contextmanager
def _losses_explained(cluster: Cluster, name: str) -> Iterator[None]:
    """Say what became of scheduler and workers where Dask says only that they are gone."""
    try:
        yield
    except (CommClosedError, FutureCancelledError) as error:
        next(states(cluster, DASK_CLUSTER, name, 0, ""))  # raises if it was deleted
        raise _loss(cluster, name, "scheduler", "its scheduler is gone; run the step again, or raise") from error
    except KilledWorker as error:
        raise _loss(cluster, name, "worker", "workers died again and again over one partition; raise") from error


def _loss(cluster: Cluster, name: str, component: str, what: str) -> StepError:
    found = restarts(list_pods(cluster, f"{CLUSTER_LABEL}={name},{COMPONENT_LABEL}={component}"))
    return StepError("; ".join([f"Dask cluster {name}: {what} --memory", *found]))

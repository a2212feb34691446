"""Manifest of a preprocessing: a DaskCluster with its scheduler and workers."""

import json
from typing import Any

from kubernetes import client
from kubernetes.utils.quantity import parse_quantity

from container_component_src.cluster.access import Manifest, to_manifest
from container_component_src.cluster.kinds import DASK_CLUSTER
from container_component_src.cluster.pods import SIDECAR_OFF, check, container, pod_spec
from container_component_src.cluster.step import Step
from container_component_src.dask_preprocessor.cluster import DASK_SETTINGS
from container_component_src.steps.data import ClusterSpec
from container_component_src.steps.shared import PodSettings

CLUSTER_LABEL, COMPONENT_LABEL = "dask.org/cluster-name", "dask.org/component"  # set by the operator on pods
COMM_PORT, HTTP_PORT = 8786, 8787
# Seconds without work after which the operator deletes a cluster, even under a connected client. Longer than this step
# waits for workers and for an unreachable API server, one after the other.
IDLE_TIMEOUT = 3_600
# If the API route exists, the operator runs a function in the scheduler every five seconds to see whether it is idle.
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


def manifest(step: Step, pods: PodSettings, spec: ClusterSpec) -> Manifest:
    """Return the DaskCluster of a preprocessing.

    The operator copies labels and annotations to the pods. It expects commands in `args`; the image has no entry point.

    Raises:
        InputError: An option that a cluster needs is missing.
    """
    check(pods, "a Dask cluster")
    name = step.name("dask", DASK_CLUSTER)
    threads = max(1, int(parse_quantity(pods.cpu)))  # the default is one per core of the node
    worker = ["dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", str(threads), "--no-dashboard"]
    metadata = step.metadata(name, pods.namespace)
    metadata["labels"] = {**pods.pod_labels, **metadata["labels"]}
    return {
        "apiVersion": DASK_CLUSTER.api_version,
        "kind": DASK_CLUSTER.name,
        "metadata": {**metadata, "annotations": {**pods.pod_annotations, **SIDECAR_OFF}},
        "spec": {
            "idleTimeout": IDLE_TIMEOUT,
            "worker": {"replicas": spec.first_workers, "spec": _pod_spec(step, pods, "worker", worker)},
            "scheduler": {"spec": _scheduler(step, pods), "service": _service(name)},
        },
    }


def _scheduler(step: Step, pods: PodSettings) -> Manifest:
    routes = client.V1EnvVar(name=_variable("distributed.scheduler.http.routes"), value=json.dumps(_SCHEDULER_ROUTES))
    return _pod_spec(
        step,
        pods,
        "scheduler",
        ["dask", "scheduler", "--host", "0.0.0.0"],  # noqa: S104 - the pod's own address
        ports=[
            client.V1ContainerPort(name="tcp-comm", container_port=COMM_PORT),
            client.V1ContainerPort(name="http-dashboard", container_port=HTTP_PORT),
        ],
        env=[routes],
        # New connections fail while the scheduler is not ready, so a busy node must not make it unready. It is ready
        # after its first answer, and stays ready through a minute of refused probes or five minutes of slow ones.
        readiness_probe=client.V1Probe(
            http_get=client.V1HTTPGetAction(path="/health", port="http-dashboard"),
            period_seconds=2,
            timeout_seconds=10,
            failure_threshold=30,
        ),
    )


def _pod_spec(step: Step, pods: PodSettings, name: str, arguments: list[str], **options: Any) -> Manifest:
    settings = [client.V1EnvVar(name=_variable(key), value=str(value)) for key, value in DASK_SETTINGS.items()]
    main = container(name, pods, [], step.run_id, env=settings + options.pop("env", []), **options)
    main.command, main.args = None, arguments
    return to_manifest(pod_spec(pods, main, "Always"))


def _variable(key: str) -> str:
    """Return the environment variable of a Dask setting."""
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

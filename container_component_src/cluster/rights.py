"""Kubernetes rights that the steps' service account needs; deploy/rbac.yaml grants exactly these."""

from dataclasses import dataclass

from container_component_src.cluster.kinds import (
    DASK_CLUSTER,
    EXPERIMENT,
    INFERENCE_SERVICE,
    PYTORCH_JOB,
    TRAIN_JOB,
    TRAINING_RUNTIME,
    TRIAL,
    Kind,
)


@dataclass(frozen=True)
class Right:
    """Verbs on a resource in the steps' namespace."""

    group: str  # "" for the core API
    resource: str  # with its subresource, as in pods/log
    verbs: tuple[str, ...]


def _right(kind: Kind, *verbs: str) -> Right:
    return Right(kind.group, kind.plural, verbs)


TRAINING_KINDS = (PYTORCH_JOB, TRAIN_JOB, TRAINING_RUNTIME)  # of which a cluster has those of one operator, or both

# Create, adopt and delete jobs, and find them for cleanup by the run's label.
_OWNED_OBJECT = ("create", "delete", "get", "list", "patch")
RIGHTS = (
    _right(EXPERIMENT, *_OWNED_OBJECT),
    _right(TRIAL, "list"),
    *(_right(kind, *_OWNED_OBJECT) for kind in TRAINING_KINDS),
    _right(INFERENCE_SERVICE, *_OWNED_OBJECT, "update"),
    _right(DASK_CLUSTER, *_OWNED_OBJECT),
    # KubeCluster scales clusters through these.
    Right(DASK_CLUSTER.group, "daskworkergroups", ("get", "list", "patch")),
    Right(DASK_CLUSTER.group, "daskautoscalers", ("create", "delete", "patch")),
    Right("", "services", ("get", "list")),
    Right("", "pods", ("get", "list")),
    Right("", "pods/log", ("get",)),
    Right("", "events", ("list",)),  # why a pod is not created
    Right("argoproj.io", "workflows", ("get",)),  # whether the run continues when the step's pod is deleted
)

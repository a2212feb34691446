"""What the steps do with the API of a cluster: the rights that their service account needs, and no others."""

from dataclasses import dataclass

from container_component_src.cluster.kinds import DASK_CLUSTER, EXPERIMENT, INFERENCE_SERVICE, PYTORCH_JOB, TRIAL, Kind


@dataclass(frozen=True)
class Right:
    """Verbs for a resource of the steps' namespace."""

    group: str  # "" for the core API
    resource: str  # with its subresource: pods/log
    verbs: tuple[str, ...]


def _of(kind: Kind, *verbs: str) -> Right:
    return Right(kind.group, kind.plural, verbs)


# Created, adopted by a second attempt, deleted in the end; found by the label of the run for the cleanup.
_CHILD = ("create", "delete", "get", "list", "patch")
RIGHTS = (
    _of(EXPERIMENT, *_CHILD),
    _of(TRIAL, "list"),
    _of(PYTORCH_JOB, *_CHILD),
    _of(INFERENCE_SERVICE, "create", "delete", "get", "list", "patch", "update"),
    _of(DASK_CLUSTER, *_CHILD),
    # KubeCluster scales and adapts through these.
    Right(DASK_CLUSTER.group, "daskworkergroups", ("get", "list", "patch")),
    Right(DASK_CLUSTER.group, "daskautoscalers", ("create", "delete", "patch")),
    Right("", "services", ("get", "list")),
    Right("", "pods", ("get", "list")),
    Right("", "pods/log", ("get",)),
    Right("", "events", ("list",)),  # why pods do not come into being
    Right("argoproj.io", "workflows", ("get",)),  # whether the run goes on when the step's pod is deleted
)

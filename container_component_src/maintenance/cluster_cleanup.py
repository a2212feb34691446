"""Cleanup of a run on a cluster: the jobs of its steps, and services that it never tested."""

from functools import partial

from container_component_src.cluster.access import Cluster, UnknownKindError
from container_component_src.cluster.inference_services import remove, untested_services
from container_component_src.cluster.kinds import DASK_CLUSTER, EXPERIMENT, INFERENCE_SERVICE, Kind
from container_component_src.cluster.rights import TRAINING_KINDS
from container_component_src.cluster.step import Step, label_selector
from container_component_src.errors import StepError
from container_component_src.scratch import checked_run_id

KINDS = (DASK_CLUSTER, EXPERIMENT, *TRAINING_KINDS)


def clean_up_cluster(cluster: Cluster, run_id: str) -> list[str]:
    """Delete the jobs of a run, found by their labels, and its untested services.

    A service that has passed its smoke test is kept.

    Args:
        cluster: Access to the namespace of the run's pods.
        run_id: Run to clean up.

    Returns:
        What was removed, one line each.

    Raises:
        InputError: The run id is invalid.
        StepError: The API refused a request. All other deletions have been tried.
    """
    selector = label_selector(Step(checked_run_id(run_id)).labels)
    deletions = [*(partial(_delete_jobs, cluster, kind, selector) for kind in KINDS)]
    removed, failures = [], []
    for delete in [*deletions, partial(_delete_untested, cluster, run_id)]:
        try:
            removed += delete()
        except UnknownKindError:  # not installed, so nothing to delete
            continue
        except StepError as error:
            failures.append(str(error))
    if failures:
        raise StepError("; ".join(failures))
    return removed


def _delete_jobs(cluster: Cluster, kind: Kind, selector: str) -> list[str]:
    names = sorted(found["metadata"]["name"] for found in cluster.list(kind, selector))
    return [f"{kind.name} {name}" for name in names if cluster.delete(kind, name)]


def _delete_untested(cluster: Cluster, run_id: str) -> list[str]:
    names = untested_services(cluster, run_id)
    return [f"untested {INFERENCE_SERVICE.name} {name}" for name in names if remove(cluster, name)]

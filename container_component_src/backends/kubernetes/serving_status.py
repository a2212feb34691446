"""Readiness of an InferenceService: whether it runs as its newest spec says, and if not, why.

`status.observedGeneration` does not tell: KServe copies it from a child object, which counts other generations
(kserve/kserve#6081). The condition Ready alone does not tell either: the pods of the previous spec keep it true
(kserve/kserve#4626). In Standard mode, the new spec runs if its pods have the digest of the spec. In Knative mode, it
runs if there is a new revision and it is the ready one.
"""

from collections.abc import Mapping
from typing import Any

from container_component_src.backends.kubernetes.serving_events import KNATIVE_MISSING, Watch, refusal
from container_component_src.backends.kubernetes.serving_manifest import PREDICTOR, TRANSFORMER, components, digest_of
from container_component_src.cluster.access import Cluster, ExistsError, Manifest, NotFoundError
from container_component_src.cluster.events import WarningEvent
from container_component_src.cluster.inference_services import MODE_ANNOTATION, annotation, sync_deployment_mode
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.logs import last_lines, list_pods
from container_component_src.cluster.owned_objects import DIGEST_ANNOTATION
from container_component_src.cluster.pod_states import is_pod_ready, obstacles
from container_component_src.errors import StepError
from container_component_src.steps.serving import KNATIVE, same_mode
from container_component_src.waiting import NotReadyError, wait_for

POD_LABEL, COMPONENT_LABEL = "serving.kserve.io/inferenceservice", "component"  # set by KServe on pods
POLL_INTERVAL = 2.0  # seconds
OUTAGE = 30.0  # seconds; a reachable API server answers sooner
_MAX_RESTARTS = 3  # restarts after which a container counts as failed for good
_PERMANENT = {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}  # waiting reasons that do not pass
_CONDITIONS = {PREDICTOR: "PredictorReady", TRANSFORMER: "TransformerReady"}


class LostError(StepError):
    """The InferenceService is no longer what this step made of it."""


class ModeError(StepError):
    """KServe runs the InferenceService in another mode, because it does not know this name of the requested mode."""


def wait_until_ready(
    cluster: Cluster, expected: Manifest, before: Mapping[str, str], timeout: float, watch: Watch
) -> Manifest:
    """Wait until an InferenceService runs as expected.

    Args:
        cluster: Cluster of the service.
        expected: The service as it was when its spec was written.
        before: Revision of every component under the previous spec.
        timeout: Seconds; time in which the API server is unreachable does not count.
        watch: Watch that was started before the spec was written.

    Returns:
        The service, with an address.

    Raises:
        LostError: The service was deleted or changed by others.
        ModeError: KServe does not know this name of the mode.
        StepError: The service was refused, a container keeps failing, or the timeout has passed. The message has the
            last lines of a failing pod and the newest Warning event.
    """
    name, digest = expected["metadata"]["name"], digest_of(expected)

    def attempt() -> Manifest:
        found = _current(cluster, expected)
        _check_mode(found, expected)
        running = _pods(cluster, name)
        reasons = _obstacles(found, running, before, digest)
        if not reasons:
            return found
        events = watch.events()
        own = [pod for pod in running if _has_digest(pod, digest)]
        watch.warn([*obstacles(own), *(event for event in events if event.kind != "Pod")])
        _check_refused(name, refusal(events), expected)
        _check_failing(cluster, name, own, events)
        raise NotReadyError(with_newest("; ".join([*reasons, *_failures(cluster, running)]), events))

    what = f"InferenceService {name} to be ready"
    return wait_for(attempt, timeout, POLL_INTERVAL, what, fix="raise --ready-timeout", outage=OUTAGE)


def mode_of(found: Manifest) -> str:
    """Return the deployment mode that a service runs in, else the requested one; empty if neither is known."""
    return str(found.get("status", {}).get("deploymentMode") or annotation(found, MODE_ANNOTATION))


def revisions(found: Manifest) -> dict[str, str]:
    """Return the newest Knative revision of every component that has one."""
    statuses = found.get("status", {}).get("components", {})
    newest = {name: status.get("latestCreatedRevision", "") for name, status in statuses.items()}
    return {name: revision for name, revision in newest.items() if revision}


def is_ready(found: Manifest) -> bool:
    """Return whether KServe says that a service takes requests, with its newest spec or the previous one."""
    return not _false_conditions(found)


def with_newest(problem: str, events: list[WarningEvent]) -> str:
    """Append to a problem the newest event that says something else."""
    newest = [str(event) for event in events if event.message.removeprefix("Error: ") not in problem]
    return "; ".join([problem, *newest[:1]])


def _current(cluster: Cluster, expected: Manifest) -> Manifest:
    """Return an InferenceService as it is now, with KServe's name of its mode."""
    name = expected["metadata"]["name"]
    deleted = LostError(f"InferenceService {name} was deleted by another user or program", fix="deploy again")
    found = cluster.get(INFERENCE_SERVICE, name)
    if found is None or found["metadata"]["uid"] != expected["metadata"]["uid"]:
        raise deleted
    if digest_of(found) != digest_of(expected):
        raise LostError(f"InferenceService {name} was changed by another user or program", fix="deploy again")
    try:
        return sync_deployment_mode(cluster, found)
    except (NotFoundError, ExistsError) as error:
        raise deleted from error


def _check_mode(found: Manifest, expected: Manifest) -> None:
    mode, requested = mode_of(found), mode_of(expected)
    if requested and same_mode(mode) != same_mode(requested):
        raise ModeError(
            f"InferenceService {found['metadata']['name']}: asked for {requested}, KServe runs it as {mode}",
            fix="give a --deployment-mode that this KServe has",
        )


def _check_refused(name: str, event: WarningEvent | None, expected: Manifest) -> None:
    if event is None:
        return
    requested = mode_of(expected)
    if event.reason == KNATIVE_MISSING and same_mode(requested) != KNATIVE:
        raise ModeError(f"InferenceService {name}: asked for {requested}, KServe runs it on Knative: {event.message}")
    raise StepError(
        f"InferenceService {name} cannot start: {event.reason} ({event.message})",
        fix="give --deployment-mode Standard"
        if event.reason == KNATIVE_MISSING
        else "change the options that it names",
    )


def _obstacles(found: Manifest, running: list[Any], before: Mapping[str, str], digest: str | None) -> list[str]:
    """Return why a service is not ready; empty if it is."""
    reasons = _false_conditions(found)
    if not found.get("status", {}).get("address", {}).get("url"):
        reasons.append("it has no address yet")
    for component in components(found):
        if same_mode(mode_of(found)) == KNATIVE:
            reasons += _revision_obstacles(found, component, before)
        else:
            reasons += _pod_obstacles(running, component, digest, found["spec"][component].get("minReplicas") or 1)
    return reasons


def _false_conditions(found: Manifest) -> list[str]:
    conditions = {condition["type"]: condition for condition in found.get("status", {}).get("conditions", [])}
    reasons = []
    for name in ["Ready", *(_CONDITIONS[component] for component in components(found))]:
        condition = conditions.get(name, {"status": "Unknown"})
        if condition["status"] != "True":
            why = " ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            reasons.append(f"{name} is {condition['status']}" + (f" ({why})" if why else ""))
    return reasons


def _revision_obstacles(found: Manifest, component: str, before: Mapping[str, str]) -> list[str]:
    newest = revisions(found).get(component)
    ready = found.get("status", {}).get("components", {}).get(component, {}).get("latestReadyRevision")
    if not newest or newest == before.get(component):
        return [f"the {component} has no new revision yet"]
    return [] if newest == ready else [f"revision {newest} is not ready"]


def _pod_obstacles(running: list[Any], component: str, digest: str | None, least: int) -> list[str]:
    own = [pod for pod in running if (pod.metadata.labels or {}).get(COMPONENT_LABEL) == component]
    if not own:
        return [f"the {component} has no pods yet"]
    reasons = [
        f"pod {pod.metadata.name} " + ("is not ready" if _has_digest(pod, digest) else "has the previous spec")
        for pod in own
        if not (_has_digest(pod, digest) and is_pod_ready(pod))
    ]
    if not reasons and len(own) < least:  # the autoscaler adds the others some time after the first is ready
        reasons.append(f"the {component} has {len(own)} of {least} pods")
    return reasons


def _pods(cluster: Cluster, name: str) -> list[Any]:
    """Return the pods that are not ending; an evicted pod stays in the list, and another takes its place."""
    return [
        pod
        for pod in list_pods(cluster, f"{POD_LABEL}={name}")
        if pod.metadata.deletion_timestamp is None and pod.status.phase not in ("Failed", "Succeeded")
    ]


def _has_digest(pod: Any, digest: str | None) -> bool:
    return digest is None or (pod.metadata.annotations or {}).get(DIGEST_ANNOTATION) == digest


def _check_failing(cluster: Cluster, name: str, running: list[Any], events: list[WarningEvent]) -> None:
    """Raise an error if the container of a pod will not start however long one waits."""
    for pod in running:
        status = _failing_container(pod)
        waiting = status.state.waiting if status and status.state else None
        if status and (status.restart_count >= _MAX_RESTARTS or (waiting and waiting.reason in _PERMANENT)):
            raise StepError(with_newest(f"InferenceService {name}: {_failure(cluster, pod)}", events))


def _failures(cluster: Cluster, running: list[Any]) -> list[str]:
    """Return what is wrong with the first pod that is not ready."""
    pod = next((pod for pod in running if not is_pod_ready(pod)), None)
    return [_failure(cluster, pod)] if pod else []


def _failing_container(pod: Any) -> Any | None:
    """Return the status of the container that keeps a pod from being ready."""
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        succeeded = status.state and status.state.terminated and status.state.terminated.exit_code == 0
        if not status.ready and not succeeded:
            return status
    return None


def _failure(cluster: Cluster, pod: Any) -> str:
    """Return what is wrong with a pod, with the last lines of its failing container."""
    status = _failing_container(pod)
    if status is None:
        reasons = [f"{c.reason} {c.message}" for c in pod.status.conditions or [] if c.status == "False" and c.message]
        return f"pod {pod.metadata.name} is {pod.status.phase}" + "".join(f": {reason}" for reason in reasons[:1])
    waiting = status.state.waiting if status.state else None
    what = f"container {status.name} of pod {pod.metadata.name} is not ready"
    if waiting:
        what += f": {waiting.reason}" + (f" {waiting.message}" if waiting.message else "")
    if waiting and not status.restart_count:  # it has never run
        return what
    restarted = bool(status.restart_count and status.state and status.state.running)  # it has not failed again yet
    return f"{what}: {' | '.join(last_lines(cluster, pod.metadata.name, status.name, previous=restarted))}"

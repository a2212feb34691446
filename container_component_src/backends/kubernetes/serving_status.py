"""Whether an InferenceService runs as its newest spec says, and why not.

`status.observedGeneration` does not tell: KServe copies it from a child object, whose generations are others
(kserve/kserve#6081). Nor does the condition Ready alone, which the pods of the spec before keep true
(kserve/kserve#4626). What tells is that the pods bear the digest of the spec (Standard), or that there is a new
revision and it is the ready one (Knative).
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from container_component_src.backends.kubernetes.serving_events import KNATIVE_MISSING, Watch, refusal
from container_component_src.backends.kubernetes.serving_manifest import PREDICTOR, TRANSFORMER, digest_of, parts
from container_component_src.cluster.access import Cluster, ExistsError, Manifest, NotFoundError
from container_component_src.cluster.events import WarningEvent
from container_component_src.cluster.inference_services import MODE_ANNOTATION, annotation, sync_deployment_mode
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.logs import last_lines, list_pods
from container_component_src.cluster.owned_objects import DIGEST_ANNOTATION
from container_component_src.cluster.pod_states import is_pod_ready, obstacles
from container_component_src.cluster.waiting import polls
from container_component_src.errors import StepError
from container_component_src.steps.serving import KNATIVE, same_mode

T = TypeVar("T")

POD_LABEL, PART_LABEL = "serving.kserve.io/inferenceservice", "component"
POLL_INTERVAL = 2.0  # seconds
OUTAGE = 30.0  # seconds in which an API server that is there has answered
_RESTARTS = 3  # after which a container is taken to fail for good
# Reasons of waiting that time does not change.
_HOPELESS = {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}
_CONDITIONS = {PREDICTOR: "PredictorReady", TRANSFORMER: "TransformerReady"}


class NotReadyError(StepError):
    """Not yet."""


class LostError(StepError):
    """The InferenceService is no longer what this step made of it."""


class ModeError(StepError):
    """KServe runs the InferenceService in another mode than was asked for: it does not know that name of the mode."""


def until(timeout: float, what: str, attempt: Callable[[], T], not_yet: type[StepError], outage: float = math.inf) -> T:
    """Try until something comes out, and say what was in the way if the time ends before.

    Args:
        timeout: Seconds.
        what: As in `polls`.
        attempt: Raises `not_yet` until it can return.
        not_yet: Its class.
        outage: Seconds that an attempt takes only where the API server is away: nothing can get ready meanwhile, and
            the time starts anew.

    Raises:
        StepError: The time is over.
    """
    pauses, reason = polls(timeout, POLL_INTERVAL, what), StepError("")
    while True:
        try:
            next(pauses)
        except StepError as error:
            raise StepError(f"{error}: {reason}") from reason
        began = time.monotonic()
        try:
            return attempt()
        except not_yet as error:
            reason = error
        if time.monotonic() - began > outage:
            pauses = polls(timeout, POLL_INTERVAL, what)


def wait_until_ready(
    cluster: Cluster, expected: Manifest, before: Mapping[str, str], timeout: float, watch: Watch
) -> Manifest:
    """Wait until an InferenceService runs as expected.

    Args:
        cluster: Where it is.
        expected: As it was when its spec was written.
        before: The revision of every part under the spec before.
        timeout: Seconds; an absence of the API server does not count.
        watch: Begun before the spec was written.

    Returns:
        It, with an address.

    Raises:
        LostError: It was deleted or changed by others meanwhile.
        ModeError: KServe does not know the mode by its name.
        StepError: It was refused, a container fails again and again, or the time is over; with the last lines of a
            failing pod and the newest Warning event.
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
        mine = [pod for pod in running if _has_digest(pod, digest)]
        watch.say([*obstacles(mine), *(event for event in events if event.kind != "Pod")])
        _check_refused(name, refusal(events), expected)
        _check_hopeless(cluster, name, mine, events)
        raise NotReadyError(with_newest("; ".join([*reasons, *_failures(cluster, running)]), events))

    what = f"InferenceService {name} to be ready; raise --ready-timeout"
    return until(timeout, what, attempt, NotReadyError, OUTAGE)


def _current(cluster: Cluster, expected: Manifest) -> Manifest:
    """An InferenceService as it is now, its mode named as KServe does."""
    name = expected["metadata"]["name"]
    lost = LostError(f"InferenceService {name} was deleted by somebody else meanwhile; deploy again")
    found = cluster.get(INFERENCE_SERVICE, name)
    if found is None or found["metadata"]["uid"] != expected["metadata"]["uid"]:
        raise lost
    if digest_of(found) != digest_of(expected):
        raise LostError(f"InferenceService {name} was changed by somebody else meanwhile; deploy again")
    try:
        return sync_deployment_mode(cluster, found)
    except (NotFoundError, ExistsError) as error:
        raise lost from error


def mode_of(found: Manifest) -> str:
    """The deployment mode that KServe runs a service in, else the one asked for; "" if neither is known."""
    return str(found.get("status", {}).get("deploymentMode") or annotation(found, MODE_ANNOTATION))


def revisions(found: Manifest) -> dict[str, str]:
    """The newest Knative revision of every part that has one."""
    components = found.get("status", {}).get("components", {})
    newest = {part: status.get("latestCreatedRevision", "") for part, status in components.items()}
    return {part: revision for part, revision in newest.items() if revision}


def is_ready(found: Manifest) -> bool:
    """Whether KServe says that a service, in its newest spec or the one before, takes requests."""
    return not _false_conditions(found)


def _check_mode(found: Manifest, expected: Manifest) -> None:
    mode, asked = mode_of(found), mode_of(expected)
    if asked and same_mode(mode) != same_mode(asked):
        raise ModeError(
            f"InferenceService {found['metadata']['name']}: asked for {asked}, KServe runs it as {mode}; give a "
            "--deployment-mode that this KServe has"
        )


def _check_refused(name: str, event: WarningEvent | None, expected: Manifest) -> None:
    if event is None:
        return
    asked = mode_of(expected)
    if event.reason == KNATIVE_MISSING and same_mode(asked) != KNATIVE:
        raise ModeError(f"InferenceService {name}: asked for {asked}, KServe runs it on Knative: {event.message}")
    fix = "give --deployment-mode Standard" if event.reason == KNATIVE_MISSING else "change the options that it names"
    raise StepError(f"InferenceService {name} cannot start: {event.reason} ({event.message}); {fix}")


def _obstacles(found: Manifest, running: list[Any], before: Mapping[str, str], digest: str | None) -> list[str]:
    """Why a service is not ready; nothing if it is."""
    reasons = _false_conditions(found)
    if not found.get("status", {}).get("address", {}).get("url"):
        reasons.append("it has no address yet")
    for part in parts(found):
        if same_mode(mode_of(found)) == KNATIVE:
            reasons += _revision_obstacles(found, part, before)
        else:
            reasons += _pod_obstacles(running, part, digest, found["spec"][part].get("minReplicas") or 1)
    return reasons


def _false_conditions(found: Manifest) -> list[str]:
    conditions = {condition["type"]: condition for condition in found.get("status", {}).get("conditions", [])}
    reasons = []
    for name in ["Ready", *(_CONDITIONS[part] for part in parts(found))]:
        condition = conditions.get(name, {"status": "Unknown"})
        if condition["status"] != "True":
            why = " ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            reasons.append(f"{name} is {condition['status']}" + (f" ({why})" if why else ""))
    return reasons


def _revision_obstacles(found: Manifest, part: str, before: Mapping[str, str]) -> list[str]:
    newest = revisions(found).get(part)
    ready = found.get("status", {}).get("components", {}).get(part, {}).get("latestReadyRevision")
    if not newest or newest == before.get(part):
        return [f"the {part} has no new revision yet"]
    return [] if newest == ready else [f"revision {newest} is not ready"]


def _pod_obstacles(running: list[Any], part: str, digest: str | None, least: int) -> list[str]:
    mine = [pod for pod in running if (pod.metadata.labels or {}).get(PART_LABEL) == part]
    if not mine:
        return [f"the {part} has no pods yet"]
    reasons = [
        f"pod {pod.metadata.name} " + ("is not ready" if _has_digest(pod, digest) else "is of the spec before")
        for pod in mine
        if not (_has_digest(pod, digest) and is_pod_ready(pod))
    ]
    if not reasons and len(mine) < least:  # the autoscaler adds the others some time after the first is ready
        reasons.append(f"the {part} has {len(mine)} of {least} pods")
    return reasons


def _pods(cluster: Cluster, name: str) -> list[Any]:
    """The pods that are not on their way out; an evicted one stays in the list, and another takes its place."""
    return [
        pod
        for pod in list_pods(cluster, f"{POD_LABEL}={name}")
        if pod.metadata.deletion_timestamp is None and pod.status.phase not in ("Failed", "Succeeded")
    ]


def _has_digest(pod: Any, digest: str | None) -> bool:
    return digest is None or (pod.metadata.annotations or {}).get(DIGEST_ANNOTATION) == digest


def _failing(pod: Any) -> Any | None:
    """The container whose failure keeps a pod from being ready."""
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        ended = status.state and status.state.terminated and status.state.terminated.exit_code == 0
        if not status.ready and not ended:
            return status
    return None


def with_newest(problem: str, events: list[WarningEvent]) -> str:
    """A problem with the newest event that says something else."""
    newest = [str(event) for event in events if event.message.removeprefix("Error: ") not in problem]
    return "; ".join([problem, *newest[:1]])


def _check_hopeless(cluster: Cluster, name: str, running: list[Any], events: list[WarningEvent]) -> None:
    for pod in running:
        status = _failing(pod)
        waiting = status.state.waiting if status and status.state else None
        if status and (status.restart_count >= _RESTARTS or (waiting and waiting.reason in _HOPELESS)):
            raise StepError(with_newest(f"InferenceService {name}: {_failure(cluster, pod)}", events))


def _failures(cluster: Cluster, running: list[Any]) -> list[str]:
    """What the first pod suffers from that is not ready."""
    pod = next((pod for pod in running if not is_pod_ready(pod)), None)
    return [_failure(cluster, pod)] if pod else []


def _failure(cluster: Cluster, pod: Any) -> str:
    """What a pod suffers from, with the last lines of its failing container."""
    status = _failing(pod)
    if status is None:
        reasons = [f"{c.reason} {c.message}" for c in pod.status.conditions or [] if c.status == "False" and c.message]
        return f"pod {pod.metadata.name} is {pod.status.phase}" + "".join(f": {reason}" for reason in reasons[:1])
    waiting = status.state.waiting if status.state else None
    what = f"container {status.name} of pod {pod.metadata.name} is not ready"
    if waiting:
        what += f": {waiting.reason}" + (f" {waiting.message}" if waiting.message else "")
    if waiting and not status.restart_count:  # it has never run
        return what
    again = bool(status.restart_count and status.state and status.state.running)  # and has yet to fail again
    return f"{what}: {' | '.join(last_lines(cluster, pod.metadata.name, status.name, previous=again))}"

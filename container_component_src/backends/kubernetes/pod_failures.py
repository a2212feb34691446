"""Which pod of a training failed first, and why: what the operators of trainings have in common."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from container_component_src.cluster.access import Cluster
from container_component_src.cluster.logs import last_lines
from container_component_src.cluster.pod_states import DEADLINE_EXCEEDED, Termination, ended_by_cluster, termination
from container_component_src.errors import InputError, StepError


@dataclass(frozen=True)
class PodFailures:
    """The failed pods of a training.

    Attributes:
        cluster: Cluster of the pods.
        container: Name of the container that trains.
        pods: The pods (`V1Pod`); the operator has deleted those that had not ended.
    """

    cluster: Cluster
    container: str
    pods: Iterable[Any]

    def first(self) -> tuple[Termination, str] | None:
        """Return how the first pod ended that failed by itself, and its name.

        When one pod is lost, the others fail too, with an ordinary error. So of the failures in the same second, one
        that is no consequence comes first.
        """
        ends = [
            (end, str(pod.metadata.name))
            for pod in self.pods
            if not is_deleted(pod)
            and not ended_by_cluster(pod)
            and (end := termination(pod, self.container)) is not None
            and end.exit_code
        ]
        # Times are whole seconds, and pods fail soon after the one that they wait for.
        return min(ends, key=lambda item: (item[0].finished_at, may_be_consequence(item[0]), item[1]), default=None)

    def error(self, end: Termination, pod: str) -> StepError | InputError:
        """Return the error of a pod that failed by itself."""
        fix = "raise --memory" if end.reason == "OOMKilled" else ""
        kind = InputError if end.exit_code == InputError.exit_code else StepError
        problem = f"pod {pod} of the training ended with code {end.exit_code} ({end.reason}): {self._log(pod)}"
        return kind(problem, fix=fix)

    def outside_cause(self) -> str:
        """Return which pod Kubernetes ended, such as at its deadline or by an eviction; empty if none."""
        for pod in self.pods:
            if reason := ended_by_cluster(pod):
                name = pod.metadata.name
                fix = "raise --job-timeout" if reason.startswith(DEADLINE_EXCEEDED) else "run the step again"
                return f"pod {name} of the training was ended by the cluster: {reason}: {self._log(name)}; {fix}"
        return ""

    def _log(self, pod: str) -> str:
        return " | ".join(last_lines(self.cluster, pod, self.container))


def is_deleted(pod: Any) -> bool:
    """Return whether a pod is being deleted.

    Operators delete only pods that ran when the job ended, so these did not cause the failure.
    """
    return pod.metadata.deletion_timestamp is not None


def may_be_consequence(end: Termination) -> bool:
    """Return whether a pod may have failed only because another did: not of bad input, and not killed."""
    return end.exit_code == StepError.exit_code

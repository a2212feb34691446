"""Commands of the project in pods like those of a run's steps."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from container_component_src.cluster.kinds import DASK_CLUSTER, EXPERIMENT, INFERENCE_SERVICE, PYTORCH_JOB
from container_component_src.cluster.step import (
    POD_NAME_VARIABLE,
    POD_NAMESPACE_VARIABLE,
    POD_UID_VARIABLE,
    RUN_LABEL,
)
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.storage import S3_ENVIRONMENT
from tests.cluster.live.target import Target

DEADLINE = 600.0  # seconds of every wait
POLL_INTERVAL = 0.5  # seconds
CONTAINER = "main"
FIELDS = {
    POD_NAME_VARIABLE: "metadata.name",
    POD_UID_VARIABLE: "metadata.uid",
    POD_NAMESPACE_VARIABLE: "metadata.namespace",
    RUN_ID_VARIABLE: f"metadata.labels['{RUN_LABEL}']",
}
# The step is a child of a shell, because a process in the container cannot kill the container's first process.
KILLABLE = ["sh", "-c", '"$@"; exit $?', "step"]
KILL = """
import os, pathlib, signal
for entry in pathlib.Path("/proc").glob("[0-9]*"):
    if (entry / "stat").read_text().rsplit(")", 1)[1].split()[1] == "1":
        os.kill(int(entry.name), signal.SIGKILL)
"""

T = TypeVar("T")


class Ended(NamedTuple):
    """Exit code and log of a step."""

    code: int
    log: str


def until(look: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """Poll until a function returns a true value, and return that value."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(POLL_INTERVAL)
    return seen


@dataclass(frozen=True)
class Session:
    """The tests' access to the cluster."""

    target: Target
    core: client.CoreV1Api
    custom: client.CustomObjectsApi

    def start(self, run_id: str, *arguments: str, secret: str = "", killable: bool = False) -> "StepPod":
        """Start a command in a pod as Kubeflow Pipelines does."""
        program = ["python", "container_component_src/main.py", *arguments]
        return self.start_program(run_id, arguments[0], [*KILLABLE, *program] if killable else program, secret)

    def start_program(self, run_id: str, name: str, program: list[str], secret: str = "") -> "StepPod":
        """Start any program in a pod of the image."""
        pod = f"live-{name.replace('_', '-')}-{uuid.uuid4().hex[:5]}"
        self.core.create_namespaced_pod(self.target.namespace, _manifest(self.target, pod, run_id, program, secret))
        return StepPod(self, pod)

    def run(self, run_id: str, *arguments: str, secret: str = "") -> Ended:
        """Run a command in a pod to completion."""
        return self.start(run_id, *arguments, secret=secret).ended()

    def left_of(self, run_id: str) -> list[str]:
        """Return what still exists of a run, except the pods of its steps."""
        selector = f"{RUN_LABEL}={run_id}"
        left = [
            f"{kind.name} {item['metadata']['name']}"
            for kind in (DASK_CLUSTER, EXPERIMENT, PYTORCH_JOB)
            for item in self.custom.list_namespaced_custom_object(
                kind.group, kind.version, self.target.namespace, kind.plural, label_selector=selector
            )["items"]
        ]
        pods = self.core.list_namespaced_pod(self.target.namespace, label_selector=selector).items
        return left + [f"pod {pod.metadata.name}" for pod in pods if not pod.metadata.name.startswith("live-")]

    def await_nothing_left(self, run_id: str) -> None:
        """Wait until the garbage collection is complete."""
        until(lambda: not self.left_of(run_id), f"nothing to be left of run {run_id}: {self.left_of(run_id)}", 180)

    def await_pod(self, selector: str, phase: str = "Running") -> str:
        """Wait for a pod that matches a label selector, and return its name."""

        def look() -> str:
            found = self.core.list_namespaced_pod(self.target.namespace, label_selector=selector).items
            return next((str(pod.metadata.name) for pod in found if pod.status.phase == phase), "")

        return until(look, f"a pod with labels {selector} to be {phase}")

    def address_of(self, service: str) -> str:
        """Return the address of an InferenceService inside the cluster."""
        kind = INFERENCE_SERVICE
        found = self.custom.get_namespaced_custom_object(
            kind.group, kind.version, self.target.namespace, kind.plural, service
        )
        return str(found["status"]["address"]["url"])

    def delete_pod(self, name: str, grace_seconds: int | None = None) -> None:
        """Delete a pod, as draining a node does."""
        options = {} if grace_seconds is None else {"grace_period_seconds": grace_seconds}
        self.core.delete_namespaced_pod(name, self.target.namespace, **options)


@dataclass(frozen=True)
class StepPod:
    """A pod that runs a command."""

    session: Session
    name: str

    @property
    def log(self) -> str:
        """The log so far."""
        try:
            return str(self.session.core.read_namespaced_pod_log(self.name, self.session.target.namespace))
        except ApiException:  # not started yet
            return ""

    def wait_for(self, pattern: str) -> str:
        """Wait until the log matches a pattern, and return the match."""

        def look() -> str:
            match = re.search(pattern, self.log)
            assert match or not self._exit_code(), f"{self.name} ended without '{pattern}': {self.log[-2000:]}"
            return match[0] if match else ""

        return until(look, f"{self.name} to log '{pattern}'")

    def ended(self) -> Ended:
        """Wait until the command has ended, and delete the pod."""
        code = until(self._exit_code, f"{self.name} to end: {self.log[-500:]}")
        ended = Ended(int(code), self.log)
        self.session.delete_pod(self.name)
        return ended

    def kill(self) -> None:
        """Kill the process of a killable step, as the kernel does when memory runs out."""
        stream(
            self.session.core.connect_get_namespaced_pod_exec,
            self.name,
            self.session.target.namespace,
            command=["python", "-c", KILL],
            stdout=True,
            stderr=True,
        )

    def _exit_code(self) -> str:
        """Return the exit code as text, so that 0 is a true value; empty while the container runs."""
        pod: Any = self.session.core.read_namespaced_pod(self.name, self.session.target.namespace)
        for status in pod.status.container_statuses or []:
            if status.state and status.state.terminated:
                return str(status.state.terminated.exit_code)
        return ""


def _manifest(target: Target, name: str, run_id: str, program: list[str], secret: str) -> dict[str, Any]:
    """Return a pod like those of Kubeflow Pipelines: variables from pod fields and the Secret, and no capabilities."""
    from_secret = [
        {
            "name": key,
            "valueFrom": {"secretKeyRef": {"name": secret or target.s3_secret, "key": key, "optional": True}},
        }
        for key in S3_ENVIRONMENT
    ]
    from_fields = [
        {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}} for variable, path in FIELDS.items()
    ]
    container = {
        "name": CONTAINER,
        "image": target.image,
        "imagePullPolicy": "IfNotPresent",
        "command": program,
        "env": from_secret + from_fields,
        "resources": {"requests": {"cpu": target.cpu, "memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {RUN_LABEL: run_id, "sidecar.istio.io/inject": "false"}},
        "spec": {
            "serviceAccountName": target.service_account,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
        },
    }

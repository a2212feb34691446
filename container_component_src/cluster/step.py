"""Identity of the pipeline step this process runs in, and names, labels and owners of the objects it creates."""

import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container_component_src.cluster.kinds import Kind
from container_component_src.scratch import RUN_ID_VARIABLE, checked_run_id

POD_NAME_VARIABLE = "PIPELINE_POD_NAME"  # the pipeline sets these from the fields of the pod
POD_UID_VARIABLE = "PIPELINE_POD_UID"
POD_NAMESPACE_VARIABLE = "PIPELINE_POD_NAMESPACE"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")  # in pods with a service account
RUN_LABEL = "pipeline/runid"  # label that Kubeflow Pipelines sets on its own pods
MANAGED_BY = {"app.kubernetes.io/managed-by": "columbus-eclss-ad"}
_DIGEST = 10  # hexadecimal characters of the run's digest in a name


def own_namespace(named: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the namespace of the jobs: the given one, or that of this process's pod.

    This lets one compiled pipeline run in any profile.

    Returns:
        The name; empty outside a pod if none is given.
    """
    if named or (named := environment.get(POD_NAMESPACE_VARIABLE, "")):
        return named
    return NAMESPACE_FILE.read_text(encoding="utf-8").strip() if NAMESPACE_FILE.is_file() else ""


def label_selector(labels: Mapping[str, str]) -> str:
    """Return the selector of objects that have all of these labels."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


def owner_reference(api_version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    """Return an owner reference that needs no right to update the owner's finalizers."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": False,
        "blockOwnerDeletion": False,
    }


@dataclass(frozen=True)
class Step:
    """The run and the pod of this process."""

    run_id: str
    pod_name: str = ""  # empty outside a pipeline's pod
    pod_uid: str = ""
    pod_namespace: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Step":
        """Create a step from environment variables; a command run by hand gets a new run id.

        Raises:
            InputError: The run id is invalid.
        """
        run_id = environment.get(RUN_ID_VARIABLE) or f"manual-{uuid.uuid4().hex[:8]}"
        return cls(
            checked_run_id(run_id),
            environment.get(POD_NAME_VARIABLE, ""),
            environment.get(POD_UID_VARIABLE, ""),
            environment.get(POD_NAMESPACE_VARIABLE, ""),
        )

    @property
    def labels(self) -> dict[str, str]:
        """Labels of everything that the run creates, by which `cleanup` finds it."""
        return {**MANAGED_BY, RUN_LABEL: self.run_id}

    @property
    def owner_references(self) -> list[dict[str, Any]]:
        """Owner references to the step's pod, with which Kubernetes deletes the objects; empty without a pod."""
        if not (self.pod_name and self.pod_uid):
            return []
        return [owner_reference("v1", "Pod", self.pod_name, self.pod_uid)]

    def metadata(self, name: str, namespace: str) -> dict[str, Any]:
        """Return the metadata of an object that lives no longer than the run.

        An object in another namespace than the pod gets no owner: Kubernetes would not find it and delete the object.
        """
        owners = self.owner_references if self.pod_namespace in ("", namespace) else []
        return {
            "name": name,
            "namespace": namespace,
            "labels": self.labels,
            **({"ownerReferences": owners} if owners else {}),
        }

    def name(self, prefix: str, kind: Kind) -> str:
        """Return the name of the run's object of a kind, which is the same in every attempt of the step.

        Args:
            prefix: Start of the name, a DNS label; shortened if the kind requires it.
            kind: Kind of the object.
        """
        digest = hashlib.sha256(self.run_id.encode()).hexdigest()[:_DIGEST]
        return f"{prefix[: kind.max_name - _DIGEST - 1].rstrip('-')}-{digest}"

"""Who asks: the step of a run in whose pod this program is, and how what it starts is named, labelled and owned."""

import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container_component_src.cluster.kinds import Kind
from container_component_src.scratch import RUN_ID_VARIABLE, checked_run_id

POD_NAME_VARIABLE = "PIPELINE_POD_NAME"  # the pipeline sets these from the pod's own fields
POD_UID_VARIABLE = "PIPELINE_POD_UID"
POD_NAMESPACE_VARIABLE = "PIPELINE_POD_NAMESPACE"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")  # in any pod with an account
RUN_LABEL = "pipeline/runid"  # the key that Kubeflow Pipelines has on its own pods
MANAGED_BY = {"app.kubernetes.io/managed-by": "columbus-eclss-ad"}
_DIGEST = 10  # hexadecimal characters that tell runs apart


def own_namespace(named: str, environment: Mapping[str, str] = os.environ) -> str:
    """The namespace that jobs run in: the one that is named, else that of the pod this runs in.

    One compiled pipeline runs in the profile of whoever starts it that way.

    Returns:
        The name; empty outside of a pod where none is named.
    """
    if named or (named := environment.get(POD_NAMESPACE_VARIABLE, "")):
        return named
    return NAMESPACE_FILE.read_text(encoding="utf-8").strip() if NAMESPACE_FILE.is_file() else ""


def label_selector(labels: Mapping[str, str]) -> str:
    """What selects the objects that have all of these labels."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


@dataclass(frozen=True)
class Step:
    """The run that this process belongs to, and the pod that it runs in."""

    run_id: str
    pod_name: str = ""  # empty where this runs in no pod of a pipeline
    pod_uid: str = ""
    pod_namespace: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Step":
        """The step that the environment describes; a run by hand gets an id of its own.

        Raises:
            InputError: The run id is not one.
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
        """Of everything that the run starts: `cleanup` finds it by them."""
        return {**MANAGED_BY, RUN_LABEL: self.run_id}

    @property
    def owner_references(self) -> list[dict[str, Any]]:
        """The step's pod, with which Kubernetes deletes what the step started; empty without a pod."""
        if not (self.pod_name and self.pod_uid):
            return []
        return [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": self.pod_name,
                "uid": self.pod_uid,
                "controller": False,
                "blockOwnerDeletion": False,  # true would need the right to update the pod's finalizers
            }
        ]

    def metadata(self, name: str, namespace: str) -> dict[str, Any]:
        """The metadata of an object that lives no longer than the run.

        In another namespace than the step's pod it has no owner: Kubernetes would not find that, and delete the object.
        """
        owners = self.owner_references if self.pod_namespace in ("", namespace) else []
        return {
            "name": name,
            "namespace": namespace,
            "labels": self.labels,
            **({"ownerReferences": owners} if owners else {}),
        }

    def name(self, prefix: str, kind: Kind) -> str:
        """A name for the one object of a kind that a run has: the same when the step is tried again.

        Args:
            prefix: What the name starts with, a DNS label; shortened where the kind's names may not be so long.
            kind: Of the object.
        """
        digest = hashlib.sha256(self.run_id.encode()).hexdigest()[:_DIGEST]
        return f"{prefix[: kind.max_name - _DIGEST - 1].rstrip('-')}-{digest}"

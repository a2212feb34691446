"""What a site asks of pods: labels and annotations, and on which nodes they may run; checked as Kubernetes does."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from container_component_src.names import LabelKey, LabelValue
from container_component_src.steps.declaration import Arguments, option
from container_component_src.values import Frozen

MOST_ANNOTATIONS = 256 * 1024  # bytes of all annotations of an object
# Keys that the pipeline, Kubeflow or an operator sets itself.
_TAKEN = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/part-of",
    "pipeline/runid",
    "sidecar.istio.io/inject",
}
_TAKEN_DOMAIN = re.compile(
    r"(.+\.)?(kubeflow\.org|argoproj\.io|dask\.org|kserve\.io|jobset\.sigs\.k8s\.io|columbus-eclss-ad)/.*"
)


def _free(values: dict[str, str]) -> dict[str, str]:
    taken = [key for key in values if key in _TAKEN or _TAKEN_DOMAIN.fullmatch(key)]
    if taken:
        raise ValueError(f"'{taken[0]}' is set by the pipeline or by Kubeflow; use another key")
    return values


def _fitting(values: dict[str, str]) -> dict[str, str]:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in values.items())
    if size > MOST_ANNOTATIONS:
        raise ValueError(f"annotations have {size} bytes together; Kubernetes allows {MOST_ANNOTATIONS}")
    return values


NodeLabels = dict[LabelKey, LabelValue]
PodLabels = Annotated[NodeLabels, AfterValidator(_free)]
PodAnnotations = Annotated[dict[LabelKey, str], AfterValidator(_free), AfterValidator(_fitting)]


class Toleration(Frozen):
    """A taint that a pod tolerates, with the fields of Kubernetes."""

    key: LabelKey | Literal[""] = ""  # empty: every taint
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""  # empty: every effect
    toleration_seconds: int | None = Field(default=None, ge=0, lt=2**63)  # None: for ever

    @model_validator(mode="after")
    def _fields_belong_together(self) -> Self:
        if not self.key and self.operator != "Exists":
            raise ValueError('without a key every taint is tolerated; if that is meant, write operator = "Exists"')
        if self.value and self.operator == "Exists":
            raise ValueError("Exists takes no value; leave it out, or write Equal")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError('toleration_seconds needs effect = "NoExecute"')
        return self


class Placement(Arguments):
    """On which nodes pods may run."""

    node_selector: NodeLabels = option("Labels of the nodes where the pods may run, as a JSON object.", {})
    tolerations: tuple[Toleration, ...] = option(
        "Taints of nodes that the pods tolerate, as a JSON list of objects with key, operator, value, effect and "
        "toleration_seconds.",
        (),
    )

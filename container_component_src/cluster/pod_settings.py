"""How pods run, as the options of a launching command say it."""

from typing import Literal

from pydantic import Field

from container_component_src.values import Frozen, NonEmpty, Quantity


class PodSettings(Frozen):
    """How the pods that a launching step starts run; quantities as Kubernetes writes them."""

    namespace: str = ""
    image: str = ""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    s3_secret: NonEmpty = "s3creds"  # noqa: S105 - the name of a Secret
    service_account: str = ""  # the namespace's default one if empty
    cpu: Quantity = "1"
    memory: Quantity = "2Gi"
    gpus: int = Field(default=0, ge=0)  # of each pod
    gpu_resource: NonEmpty = "nvidia.com/gpu"
    shared_memory: Quantity = "1Gi"  # size limit of /dev/shm, part of `memory`

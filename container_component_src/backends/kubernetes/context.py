"""Context in which a step starts jobs on a cluster."""

from functools import cached_property

from container_component_src.cluster.access import Cluster, connect
from container_component_src.cluster.step import Step
from container_component_src.steps.shared import PodSettings


class JobContext:
    """The step that starts jobs, the settings of their pods, and the cluster where they run.

    Args:
        pods: Settings of the pods, with the namespace.
    """

    def __init__(self, pods: PodSettings) -> None:
        self.pods = pods

    @cached_property
    def cluster(self) -> Cluster:
        """Access to the namespace of the jobs. Connects when first used: a dry run needs no cluster."""
        return connect(self.pods.namespace)

    @cached_property
    def step(self) -> Step:
        """Pipeline step that this process belongs to."""
        return Step.from_environment()

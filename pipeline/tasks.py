"""What the cluster must know of each task: image, resources, limits, identity and credentials."""

from collections.abc import Callable, Mapping
from typing import Any

from kfp import dsl, kubernetes

from container_component_src.cluster.step import (
    POD_NAME_VARIABLE,
    POD_NAMESPACE_VARIABLE,
    POD_UID_VARIABLE,
    RUN_LABEL,
)
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.settings import Settings, StepResources
from container_component_src.steps.declaration import Arguments
from container_component_src.storage import S3_ENVIRONMENT
from pipeline.components import component

# Identity of a step: what it starts is owned by its pod, and labelled as KFP labels all pods of the run.
_POD_FIELDS = {
    POD_NAME_VARIABLE: "metadata.name",
    POD_UID_VARIABLE: "metadata.uid",
    POD_NAMESPACE_VARIABLE: "metadata.namespace",
    RUN_ID_VARIABLE: f"metadata.labels['{RUN_LABEL}']",
}
_RETRY_PAUSE = 30  # seconds before the first retry, twice as long before each further one


class TaskBuilder:
    """Makes tasks of steps.

    Args:
        settings: The configuration.
        cache: Whether steps may be answered from earlier runs.
    """

    def __init__(self, settings: Settings, cache: bool) -> None:
        self.settings = settings
        self.cache = cache

    def with_parameters(self, values: Mapping[str, Any]) -> Callable[..., dsl.PipelineTask]:
        """Return a function that makes the task of a step.

        The function takes the step, its resources and limits, and the inputs that come from other tasks or from the
        configuration; the pipeline's parameters among the inputs are filled in.

        Args:
            values: Values of the pipeline's parameters by name.
        """

        def run(
            step: type[Arguments],
            resources: StepResources,
            hours: float | None = None,
            repeatable: bool = True,
            cached: bool = True,
            **inputs: Any,
        ) -> dsl.PipelineTask:
            parameters = dict(values) if step.checks_parameters else {}
            parameters |= {name: values[parameter] for name, parameter in step.parameters().items()}
            task = component(step)(**parameters, **inputs)
            self._configure(task, resources, hours, repeatable, (*S3_ENVIRONMENT, *step.secret_keys))
            return task if cached and self.cache else task.set_caching_options(False)

        return run

    def pods(self, resources: StepResources) -> str:
        """Return the settings of the pods that a step starts, as JSON.

        Args:
            resources: Resources of each pod.
        """
        return self.settings.pods(resources).model_dump_json(exclude={"namespace"})

    def _configure(
        self,
        task: dsl.PipelineTask,
        resources: StepResources,
        hours: float | None,
        repeatable: bool,
        secret_keys: tuple[str, ...],
    ) -> None:
        """Set a task's image, resources, limits and identity, and give it the credentials from the Secret.

        Steps are repeatable: they empty their outputs first, their results follow from their inputs, and what they
        start is named after the run, so that the next attempt adopts it. Only the deployment is not: a model that was
        rolled back would get traffic once more. CPU is not limited, because throttling slows more than it shares.
        """
        limits = self.settings.limits
        task.set_container_image(self.settings.image_for(resources))
        task.set_cpu_request(resources.cpu).set_memory_request(resources.memory).set_memory_limit(resources.memory)
        deadline = round((hours or limits.step_hours) * 3600)
        if repeatable and limits.retries:
            task.set_retry(
                limits.retries,
                backoff_duration=f"{_RETRY_PAUSE}s",
                backoff_factor=2.0,
                backoff_max_duration=f"{_seconds_of_all_attempts(deadline, limits.retries)}s",
            )
        kubernetes.set_image_pull_policy(task, self.settings.image.pull_policy)
        if self.settings.image.pull_secret:
            kubernetes.set_image_pull_secrets(task, [self.settings.image.pull_secret])
        kubernetes.set_timeout(task, deadline)
        kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "columbus-eclss-ad")
        for key, value in self.settings.platform.pod_labels.items():
            kubernetes.add_pod_label(task, key, value)
        for key, value in self.settings.platform.pod_annotations.items():
            kubernetes.add_pod_annotation(task, key, value)
        for variable, field in _POD_FIELDS.items():
            kubernetes.use_field_path_as_env(task, variable, field)
        kubernetes.use_secret_as_env(
            task,
            secret_name=self.settings.platform.s3_secret,
            secret_key_to_env={name: name for name in secret_keys},
            optional=True,
        )


def _seconds_of_all_attempts(deadline: int, retries: int) -> int:
    """Return how long a step and its retries may take together.

    This does not limit the pauses: Argo counts it from the start of the first attempt, makes no retry after it, and
    kills the attempt that runs then. kfp cannot leave it out (it would write one hour), so it is more than all attempts
    take to their deadlines, with as long as one of them for the time in which their pods wait for a node.
    """
    pauses: int = _RETRY_PAUSE * (2**retries - 1)
    return (retries + 2) * deadline + pauses

"""Checks that pods of the steps can start: the API admits them, nodes can pull their image, and its program runs."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from kubernetes import client

from container_component_src.cluster.access import Cluster, ExistsError, ForbiddenError, NotFoundError, UnknownKindError
from container_component_src.cluster.logs import last_lines
from container_component_src.cluster.pod_states import obstacles, termination
from container_component_src.cluster.pods import container, pod_template
from container_component_src.cluster.rights import Right
from container_component_src.cluster.step import MANAGED_BY
from container_component_src.errors import StepError
from container_component_src.maintenance.checks import Check, failed_check
from container_component_src.maintenance.input_checks import Inputs
from container_component_src.maintenance.right_checks import is_allowed
from container_component_src.signals import signals_deferred
from container_component_src.steps.shared import PodSettings
from container_component_src.values import PROGRAM
from container_component_src.waiting import polls

POD_TIMEOUT = 900  # seconds to find a node, pull the large image, and check the inputs
SCHEDULING_TIMEOUT = 60  # seconds to find a node
POLL_INTERVAL = 2.0  # seconds
_CREATE_PODS = Right("", "pods", ("create",))
_ADMISSION = "pod admission"  # name of the check
_SMALL = {"cpu": "10m", "memory": "64Mi", "gpus": 0, "shared_memory": "16Mi"}  # of a pod that only pulls its image


def check_pod(cluster: Cluster, settings: PodSettings, inputs: Inputs, pull_image: bool) -> list[Check]:
    """Check that a pod like those of the steps is admitted and, on request, that it runs.

    Args:
        cluster: Access to the namespace of the steps.
        settings: Image, Secret and service account of the pod.
        inputs: Inputs that the pod checks.
        pull_image: Whether to start the pod.
    """
    pod = doctor_pod(settings, inputs)
    admission = _check_admission(cluster, pod)
    if not admission.ok:
        return [admission]
    if not pull_image:
        detail = f"{admission.detail}; --pull-image checks that nodes can pull {settings.image}"
        return [replace(admission, detail=detail)]
    return [admission, _check_run(cluster, pod, "pulled, and doctor found no problem inside")]


def check_pull(cluster: Cluster, settings: PodSettings) -> Check:
    """Check that a node can pull an image, with a small pod that is deleted afterwards.

    Any other problem of the pod is a warning, because it may not affect the jobs.

    Args:
        cluster: Access to the namespace of the steps.
        settings: Image and service account of the pod.
    """
    pod = _pod(settings.model_copy(update=_SMALL), ["true"])
    admission = _check_admission(cluster, pod)
    if not admission.ok:
        return replace(admission, detail=f"not pulled: {admission.detail}", required=False)
    return _check_run(cluster, pod, f"{settings.image} was pulled")


def doctor_pod(settings: PodSettings, inputs: Inputs) -> client.V1Pod:
    """Return a pod that runs `doctor` in the image, under the same network and security rules as the steps' pods."""
    command = [*PROGRAM, "doctor", "--backend", "local", "--work-dir", "/tmp"]  # noqa: S108 - of the pod
    command += ["--archives-path", inputs.archives_path, "--reports-path", inputs.reports_path]
    command += ["--feedback-path", inputs.feedback_path]
    command += ["--timestamp-col", inputs.timestamp_col, "--report-columns", inputs.report_columns.model_dump_json()]
    command += ["--data-root", inputs.data_root]
    return _pod(settings, command)


def _pod(settings: PodSettings, command: list[str]) -> client.V1Pod:
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    template = pod_template(settings, container("doctor", settings, command, name), MANAGED_BY)
    template.spec.active_deadline_seconds = POD_TIMEOUT  # it ends even if this process is killed before deleting it
    template.metadata.name = name
    return client.V1Pod(api_version="v1", kind="Pod", metadata=template.metadata, spec=template.spec)


def _check_admission(cluster: Cluster, pod: client.V1Pod) -> Check:
    """Create a pod as a server-side dry run, which applies quotas, policies and webhooks."""
    try:
        if not is_allowed(cluster, _CREATE_PODS, "create"):
            fix = "use credentials that may create pods"
            return Check(_ADMISSION, False, "these credentials may not create pods", fix, required=False)
        _create(cluster, pod, dry_run="All")
    except UnknownKindError:
        host = cluster.api_client.configuration.host
        fix = "check that the credentials are for the right cluster"
        return Check(_ADMISSION, False, f"there is no namespace {cluster.namespace} at {host}", fix)
    except ForbiddenError as error:  # the credentials have the right, so a policy refuses the pod
        fix = "change what refuses the pod: a quota, a limit range or a policy of the namespace"
        return failed_check(_ADMISSION, error, fix)
    except StepError as error:
        return failed_check(_ADMISSION, error)
    return Check(_ADMISSION, True, "admitted")


def _check_run(cluster: Cluster, pod: client.V1Pod, success: str) -> Check:
    try:
        with _started(cluster, pod):
            return _outcome(cluster, pod.metadata.name, pod.spec.containers[0].name, success)
    except StepError as error:
        return failed_check("image", error)


def _create(cluster: Cluster, pod: client.V1Pod, **options: str) -> None:
    name = f"pod {pod.metadata.name}"
    create = cluster.core.create_namespaced_pod
    cluster.request(create, "create", name, cluster.namespace, pod, field_validation="Strict", **options)


@contextmanager
def _started(cluster: Cluster, pod: client.V1Pod) -> Iterator[None]:
    """Create a pod, and delete it however the block ends."""
    name = pod.metadata.name
    try:
        with signals_deferred(), suppress(ExistsError):  # the name is unique, so an earlier attempt created it
            _create(cluster, pod)
        yield
    finally:
        with signals_deferred(), suppress(NotFoundError):
            cluster.request(cluster.core.delete_namespaced_pod, "delete", f"pod {name}", name, cluster.namespace)


def _outcome(cluster: Cluster, name: str, container_name: str, success: str) -> Check:
    """Wait until a pod has finished or cannot start, and return the result."""
    fix = "check that the image exists, and check the pull secret of the service account"
    try:
        for elapsed in polls(POD_TIMEOUT, POLL_INTERVAL, f"pod {name} to finish"):
            pod = cluster.request(cluster.core.read_namespaced_pod, "read", f"pod {name}", name, cluster.namespace)
            end = termination(pod, container_name)
            if end is not None and end.exit_code == 0:
                return Check("image", True, success)
            if end is not None:
                log = " | ".join(last_lines(cluster, name, container_name, 1))
                detail = f"pulled, but its command ended with code {end.exit_code}: {log}"
                return Check(
                    "image", False, detail, "fix what the message names, or build the image again (make image)"
                )
            if pod.status.phase == "Failed":
                return Check("image", False, f"{pod.status.reason or 'failed'}: {pod.status.message or ''}", fix)
            found = obstacles([pod])
            if found and pod.spec.node_name:
                return Check("image", False, "; ".join(found), fix)
            if found and elapsed >= SCHEDULING_TIMEOUT:
                fix = "wait for other jobs to end, or add nodes"
                return Check("image", False, f"not pulled: {'; '.join(found)}", fix, required=False)
    except NotFoundError:
        pass
    return Check("image", False, f"pod {name} was deleted before it finished", "try again", required=False)

"""Deployment on a cluster: create or update an InferenceService, wait until it is ready, test it, or roll back."""

import logging
from urllib.parse import urlsplit

import httpx

from container_component_src.backends.kubernetes.serving_events import Watch
from container_component_src.backends.kubernetes.serving_manifest import LATEST_TAG, PREDICTOR, check_kept, manifest
from container_component_src.backends.kubernetes.serving_rollout import Rollout
from container_component_src.backends.kubernetes.serving_status import (
    POLL_INTERVAL,
    LostError,
    ModeError,
    wait_until_ready,
    with_newest,
)
from container_component_src.cluster.access import Cluster, Manifest, TransientError
from container_component_src.cluster.inference_services import MODE_ANNOTATION, remove
from container_component_src.cluster.step import Step
from container_component_src.errors import PipelineError, StepError
from container_component_src.serving.deployment.service import Deployment, Service
from container_component_src.serving.deployment.smoke_test import NotServingError, smoke_test
from container_component_src.signals import signals_deferred
from container_component_src.steps.serving import names_of_mode
from container_component_src.steps.shared import PodSettings
from container_component_src.waiting import wait_for

SETTLING_TIME = 120.0  # seconds after readiness until routes lead to the new model and pods on demand have started

logger = logging.getLogger(__name__)


def deploy(cluster: Cluster, step: Step, pods: PodSettings, service: Service) -> Deployment:
    """Create or update the InferenceService of a model, wait until the new pods are ready, and send the smoke request.

    If anything fails, or the step is told to stop, a created service is deleted and an updated one gets its previous
    spec back. A service that already runs with this spec is left alone, but tested. A new service is marked as untested
    until its first smoke test: if this process is killed, `cleanup` deletes it. A new service is also left like this if
    the API server is unreachable for too long.

    Raises:
        InputError: The service cannot be built or changed with these options.
        StepError: The API refused something, or the service did not become ready or gave a wrong answer.
    """
    rollout = Rollout(cluster, manifest(step, pods, service), service)
    try:
        url, version = _roll_out(rollout, service)
    except LostError:
        raise
    except TransientError as error:
        raise TransientError("; ".join(filter(None, (str(error), rollout.leave())))) from error
    except PipelineError as error:
        raise type(error)("; ".join(filter(None, (str(error), rollout.undo())))) from error
    except BaseException:
        rollout.cluster = cluster.for_shutdown
        logger.warning("stopped: %s", rollout.undo(wait=False) or "nothing was changed")
        raise
    logger.info("service %s answered the smoke request as model %s", service.name, version)
    return Deployment(url, version)


def _roll_out(rollout: Rollout, service: Service) -> tuple[str, str]:
    """Return the URL and the model version of a service that has passed its smoke test.

    If KServe does not know one name of the mode, a new service is recreated with the other name.
    """
    names = names_of_mode(service.hosting.deployment_mode)
    while True:
        rollout.desired["metadata"]["annotations"][MODE_ANNOTATION] = names.pop(0)
        rollout.await_removal()
        with signals_deferred():  # a signal must not separate a change from its record
            applied = rollout.apply()
        check_kept(rollout.desired, applied)
        try:
            ready = wait_until_ready(rollout.cluster, applied, rollout.before, service.ready_timeout, rollout.watch)
        except ModeError as error:
            if not (names and rollout.created):
                raise
            logger.warning("%s; trying it as %s", error, names[0])
            remove(rollout.cluster, rollout.name)
            rollout.watch = Watch(rollout.cluster, rollout.name)
            continue
        try:
            tested = _test(ready, service)
        except StepError as error:
            if isinstance(error.__cause__, NotServingError):  # until the timeout
                raise StepError(with_newest(str(error), rollout.watch.events())) from error
            raise
        rollout.accept(ready)
        return tested


def _test(ready: Manifest, service: Service) -> tuple[str, str]:
    """Send the smoke request.

    Returns:
        The URL of the service inside the cluster, and the model version that answered there.
    """
    address = urlsplit(ready["status"]["address"]["url"])
    host = address.netloc
    if service.hosting.canary_traffic_percent is not None:  # the service's own address may lead to the previous model
        statuses = ready["status"]["components"]
        host = LATEST_TAG + urlsplit(statuses[PREDICTOR]["address"]["url"]).netloc
    gateway = service.hosting.gateway_url.rstrip("/")
    url = f"{gateway or f'{address.scheme}://{host}'}{service.path}"
    headers = {"host": host} if gateway else {}
    # Proxies of the environment do not lead into the cluster.
    with httpx.Client(trust_env=False, headers=headers) as client:
        version = wait_for(
            lambda: smoke_test(service, url, client),
            SETTLING_TIME,
            POLL_INTERVAL,
            f"InferenceService {service.name} to answer",
            not_ready=NotServingError,
        )
    return f"{address.scheme}://{address.netloc}{service.path}", version

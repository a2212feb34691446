"""Deployment on a cluster: an InferenceService is created or updated, awaited and tested, or else put back."""

import logging
import time
from urllib.parse import urlsplit

import httpx

from container_component_src.backends.kubernetes.serving_events import Watch
from container_component_src.backends.kubernetes.serving_manifest import (
    LATEST_TAG,
    PREDICTOR,
    digest_of,
    manifest,
    merged,
)
from container_component_src.backends.kubernetes.serving_status import (
    LostError,
    ModeError,
    is_ready,
    mode_of,
    revisions,
    until,
    wait_until_ready,
    with_newest,
)
from container_component_src.cluster.access import Cluster, ExistsError, Manifest, NotFoundError, TransientError
from container_component_src.cluster.inference_services import (
    MODE_ANNOTATION,
    PASSED,
    PENDING,
    RUN_ANNOTATION,
    TEST_ANNOTATION,
    annotate,
    annotation,
    await_removal,
    is_ours,
    is_untested,
    remove,
)
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.step import MANAGED_BY, Step
from container_component_src.errors import InputError, PipelineError, StepError
from container_component_src.serving.deployment.service import Deployment, Service
from container_component_src.serving.deployment.smoke_test import NotServingError, smoke_test
from container_component_src.signals import signals_deferred
from container_component_src.steps.serving import names_of_mode, same_mode
from container_component_src.steps.shared import PodSettings

SETTLING_TIME = 120.0  # seconds after readiness, until routes lead to the new model and pods on demand have started
_ATTEMPTS = 10  # to write while KServe writes the status of the same object
_PAUSE = 0.2  # seconds between them

logger = logging.getLogger(__name__)


def deploy(cluster: Cluster, step: Step, pods: PodSettings, service: Service) -> Deployment:
    """Create or update the InferenceService of a model, wait until the new pods are ready, and send the smoke request.

    Whatever fails, and where the step is told to stop: what was created is deleted again, what was updated gets its
    previous spec back. A service that runs as asked already is left alone, but tested. Until its first smoke test a
    new service is marked as untested: should this process be killed, `cleanup` deletes it. That is also how a new
    service is left where the API server is away for too long.

    Raises:
        InputError: The service cannot be built or changed as the options say.
        StepError: The API refused something, the service did not become ready or gave a wrong answer.
    """
    rollout = Rollout(cluster, manifest(step, pods, service), service)
    try:
        url, version = _rolled_out(rollout, service)
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


def _rolled_out(rollout: "Rollout", service: Service) -> tuple[str, str]:
    """The URL and the model version of a service that has passed its smoke test.

    A new service is made anew where KServe does not know the mode by the one name, but by the other.
    """
    names = names_of_mode(service.hosting.deployment_mode)
    while True:
        rollout.desired["metadata"]["annotations"][MODE_ANNOTATION] = names.pop(0)
        rollout.await_removal()
        with signals_deferred():  # no signal can come between a change and the knowledge of it
            applied = rollout.apply()
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
            tested = _tested(ready, service)
        except StepError as error:
            if isinstance(error.__cause__, NotServingError):  # until the time was over
                raise StepError(with_newest(str(error), rollout.watch.events())) from error
            raise
        rollout.accept(ready)
        return tested


class Rollout:
    """A change of an InferenceService that can be undone."""

    def __init__(self, cluster: Cluster, desired: Manifest, service: Service) -> None:
        self.cluster = cluster
        self.desired = desired
        self.timeout = service.ready_timeout
        self.take_over = service.hosting.take_over
        self.name = desired["metadata"]["name"]
        self.run_id = annotation(desired, RUN_ANNOTATION)
        self.watch = Watch(cluster, self.name)
        self.previous: Manifest | None = None  # what a change is undone to; None deletes
        self.changed: bool | None = None  # None until it is known or attempted
        self.applied = False

    @property
    def created(self) -> bool:
        """Whether there was nothing before, or nothing that was ever tested."""
        return bool(self.changed) and self.previous is None

    @property
    def before(self) -> dict[str, str]:
        """The revisions of the spec before; none where nothing was changed."""
        return revisions(self.previous) if self.previous and self.changed else {}

    def await_removal(self) -> None:
        """Wait until a service that is being deleted is gone.

        Raises:
            StepError: It stays.
        """
        found = self.cluster.get(INFERENCE_SERVICE, self.name)
        if found is not None and "deletionTimestamp" in found["metadata"] and is_ours(found):
            await_removal(self.cluster, found)

    def apply(self) -> Manifest:
        """Create, update, or leave an InferenceService alone.

        Raises:
            InputError: It runs in another deployment mode.
            StepError: The API refuses, or others keep changing the object.
        """
        for _ in range(_ATTEMPTS):
            found = self.cluster.get(INFERENCE_SERVICE, self.name)
            if found is not None and digest_of(found) == digest_of(self.desired):
                # Written by this, if it tried and the answer was lost on the way, or an earlier attempt was killed.
                written_before = bool(self.changed) or is_untested(found, self.run_id)
                self.changed = written_before and self._is_mine(found)
                if not self.changed:
                    logger.info("InferenceService %s is unchanged and left alone", self.name)
                return found
            if found is not None:
                self._check_replaceable(found)
            self.previous, self.changed = found, True
            if found is not None and is_untested(found, self.run_id):
                self.previous = None
            try:
                written = self._write(found)
            except (ExistsError, NotFoundError):  # others were faster, or KServe wrote the status
                time.sleep(_PAUSE)
                continue
            self.applied = True
            logger.info("%s InferenceService %s", "updated" if found else "created", self.name)
            return written
        raise StepError(f"InferenceService {self.name} changes faster than it can be updated; deploy again later")

    def accept(self, tested: Manifest) -> None:
        """Say of a service that has passed its smoke test that it has."""
        if annotation(tested, TEST_ANNOTATION) != PENDING:
            return
        try:
            annotate(self.cluster, tested, **{TEST_ANNOTATION: PASSED})
        except (NotFoundError, ExistsError) as error:
            raise LostError(f"InferenceService {self.name} was deleted by somebody else meanwhile") from error

    def leave(self) -> str:
        """Undo nothing but an update, and that only if the API server answers at once: it was away.

        Returns:
            In what state the InferenceService is left.
        """
        if self.created:
            service = f"InferenceService {self.name}" + ("" if self.applied else ", if it was created,")
            return (
                f"{service} goes on untested: the next attempt of this step tests it, `cleanup` of this run deletes it"
            )
        self.cluster = self.cluster.for_shutdown
        return self.undo(wait=False)

    def undo(self, wait: bool = True) -> str:
        """Bring back what was before, if this changed it and nobody else did since.

        Args:
            wait: Until the previous spec runs again.

        Returns:
            In what state the InferenceService is left; "" if this had nothing to do with it.
        """
        if not self.changed:
            return "" if self.changed is None else f"InferenceService {self.name} was not changed by this step"
        try:
            with signals_deferred():
                restored = self._restore(wait)
            if self.previous is None or restored is None:
                return f"InferenceService {self.name} was deleted again"
            if not wait:
                return f"InferenceService {self.name} has its previous spec again"
            return self._await_previous(restored, self.previous)
        except LostError as error:
            return f"nothing was put back: {error}" if self.applied else ""
        except StepError as error:
            return f"InferenceService {self.name} could not be put back ({error}); look at it with kubectl"

    def _restore(self, wait: bool) -> Manifest | None:
        """Write the previous spec, or delete the object where there was none."""
        for _ in range(_ATTEMPTS):
            found = self.cluster.get(INFERENCE_SERVICE, self.name)
            if found is None or not self._is_mine(found):
                raise LostError(f"InferenceService {self.name} is no longer what this step made of it")
            if self.previous is None:
                remove(self.cluster, self.name, wait)
                return None
            try:
                restored = self.cluster.replace(INFERENCE_SERVICE, merged(found, self.previous))
            except ExistsError:
                time.sleep(_PAUSE)
                continue
            return {**restored, "status": found.get("status", {})}
        raise StepError("it changes faster than it can be updated")

    def _await_previous(self, restored: Manifest, previous: Manifest) -> str:
        if not is_ready(previous):
            return f"InferenceService {self.name} has its previous spec again, which was not ready either"
        # A revision that KServe has not made yet will not be made, and the one before it stays the newest.
        before = dict(revisions(restored).items() - revisions(previous).items())
        try:
            wait_until_ready(self.cluster, restored, before, self.timeout, Watch(self.cluster, self.name))
        except LostError as error:
            return f"it was rolled back, but {error}"
        except StepError as error:
            return f"it was rolled back, but the previous spec is not ready again: {error}"
        return f"InferenceService {self.name} was rolled back and serves the previous model"

    def _write(self, found: Manifest | None) -> Manifest:
        if found is None:
            return self.cluster.create(INFERENCE_SERVICE, self.desired)
        return self.cluster.replace(INFERENCE_SERVICE, merged(found, self.desired))

    def _is_mine(self, found: Manifest) -> bool:
        return digest_of(found) == digest_of(self.desired) and annotation(found, RUN_ANNOTATION) == self.run_id

    def _check_replaceable(self, found: Manifest) -> None:
        if not (is_ours(found) or self.take_over):
            label = "=".join(*MANAGED_BY.items())
            raise InputError(
                f"InferenceService {self.name} is not of this project, for it has no label {label}; choose another "
                "--service-name, or replace it with --take-over true (pipeline parameter take_over_service)"
            )
        if "deletionTimestamp" in found["metadata"]:
            raise StepError(f"InferenceService {self.name} is being deleted; deploy again when it is gone")
        mode, asked = mode_of(found), mode_of(self.desired)
        if mode and same_mode(mode) != same_mode(asked):
            raise InputError(
                f"InferenceService {self.name} runs in mode {mode}, which KServe cannot change to {asked}; give "
                f"--deployment-mode {mode}, or delete it: kubectl -n {self.cluster.namespace} delete isvc {self.name}"
            )


def _tested(ready: Manifest, service: Service) -> tuple[str, str]:
    """The URL of a service inside the cluster, and the model version that answered there."""
    address = urlsplit(ready["status"]["address"]["url"])
    host = address.netloc
    if service.hosting.canary_traffic_percent is not None:  # the service's own address may lead to the model before
        components = ready["status"]["components"]
        host = LATEST_TAG + urlsplit(components[PREDICTOR]["address"]["url"]).netloc
    gateway = service.hosting.gateway_url.rstrip("/")
    tested = f"{gateway or f'{address.scheme}://{host}'}{service.path}"
    headers = {"host": host} if gateway else {}
    # What proxies the environment names do not lead into the cluster.
    with httpx.Client(trust_env=False, headers=headers) as client:
        version = until(
            SETTLING_TIME,
            f"InferenceService {service.name} to answer",
            lambda: smoke_test(service, tested, client),
            NotServingError,
        )
    return f"{address.scheme}://{address.netloc}{service.path}", version

"""Rollout of an InferenceService: a change that can be undone."""

import logging
from collections.abc import Callable
from typing import TypeVar

import tenacity

from container_component_src.backends.kubernetes.serving_bundles import with_previous
from container_component_src.backends.kubernetes.serving_events import Watch
from container_component_src.backends.kubernetes.serving_manifest import digest_of, merged
from container_component_src.backends.kubernetes.serving_status import (
    LostError,
    is_ready,
    mode_of,
    revisions,
    wait_until_ready,
)
from container_component_src.cluster.access import Cluster, ExistsError, Manifest, NotFoundError
from container_component_src.cluster.inference_services import (
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
from container_component_src.cluster.step import MANAGED_BY
from container_component_src.errors import InputError, StepError
from container_component_src.serving.deployment.service import Service
from container_component_src.signals import signals_deferred
from container_component_src.steps.serving import same_mode

T = TypeVar("T")

_ATTEMPTS = 10  # attempts to write while KServe writes the status of the same object
_PAUSE = 0.2  # seconds between them

logger = logging.getLogger(__name__)


class Rollout:
    """Change of an InferenceService that can be undone.

    Args:
        cluster: Cluster of the service.
        desired: InferenceService to create, or to change an existing one to.
        service: Service that the InferenceService runs.
    """

    def __init__(self, cluster: Cluster, desired: Manifest, service: Service) -> None:
        self.cluster = cluster
        self.desired = desired
        self.timeout = service.ready_timeout
        self.take_over = service.hosting.take_over
        self.name = desired["metadata"]["name"]
        self.run_id = annotation(desired, RUN_ANNOTATION)
        self.watch = Watch(cluster, self.name)
        self.previous: Manifest | None = None  # state that `undo` restores; None deletes the service
        self.changed: bool | None = None  # None until a change is known or attempted
        self.applied = False

    @property
    def created(self) -> bool:
        """Whether there was no service before, or one that was never tested."""
        return bool(self.changed) and self.previous is None

    @property
    def before(self) -> dict[str, str]:
        """Revisions of the previous spec; empty if nothing was changed."""
        return revisions(self.previous) if self.previous and self.changed else {}

    def await_removal(self) -> None:
        """Wait until a service that is being deleted is gone.

        Raises:
            StepError: It still exists after the timeout.
        """
        found = self.cluster.get(INFERENCE_SERVICE, self.name)
        if found is not None and "deletionTimestamp" in found["metadata"] and is_ours(found):
            await_removal(self.cluster, found)

    def apply(self) -> Manifest:
        """Create or update the InferenceService, or leave it alone if it has the desired spec.

        Raises:
            InputError: The service runs in another deployment mode.
            StepError: The API refused the change, or others keep changing the object.
        """
        problem = f"InferenceService {self.name} changes faster than it can be updated"
        return _retry_conflicts(self._apply_once, StepError(problem, fix="deploy again later"))

    def accept(self, tested: Manifest) -> None:
        """Record that a service has passed its smoke test."""
        if annotation(tested, TEST_ANNOTATION) != PENDING:
            return
        try:
            annotate(self.cluster, tested, **{TEST_ANNOTATION: PASSED})
        except (NotFoundError, ExistsError) as error:
            raise LostError(f"InferenceService {self.name} was deleted by another user or program") from error

    def leave(self) -> str:
        """Leave a new service as it is, and undo an update only if the API server, which was unreachable, answers now.

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
        """Restore the previous state, if this rollout changed it and nobody else has changed it since.

        Args:
            wait: Whether to wait until the previous spec runs again.

        Returns:
            In what state the InferenceService is left; empty if this rollout did not touch it.
        """
        if not self.changed:
            return "" if self.changed is None else f"InferenceService {self.name} was not changed by this step"
        try:
            with signals_deferred():
                too_many = StepError("it changes faster than it can be updated")
                restored = _retry_conflicts(lambda: self._restore(wait), too_many)
            if self.previous is None or restored is None:
                return f"InferenceService {self.name} was deleted again"
            if not wait:
                return f"InferenceService {self.name} has its previous spec again"
            return self._await_previous(restored, self.previous)
        except LostError as error:
            return f"nothing was put back: {error}" if self.applied else ""
        except StepError as error:
            return f"InferenceService {self.name} could not be put back ({error}); look at it with kubectl"

    def _apply_once(self) -> Manifest:
        found = self.cluster.get(INFERENCE_SERVICE, self.name)
        if found is not None and digest_of(found) == digest_of(self.desired):
            # This rollout wrote it if its answer was lost on the way, or if an earlier attempt was killed.
            written_before = bool(self.changed) or is_untested(found, self.run_id)
            self.changed = written_before and self._is_own(found)
            if not self.changed:
                logger.info("InferenceService %s is unchanged and left alone", self.name)
            return found
        if found is not None:
            self._check_replaceable(found)
        self.previous, self.changed = found, True
        if found is not None and is_untested(found, self.run_id):
            self.previous = None
        written = self._write(found)
        self.applied = True
        logger.info("%s InferenceService %s", "updated" if found else "created", self.name)
        return written

    def _restore(self, wait: bool) -> Manifest | None:
        """Write the previous spec, or delete the object if there was none."""
        found = self.cluster.get(INFERENCE_SERVICE, self.name)
        if found is None or not self._is_own(found):
            raise LostError(f"InferenceService {self.name} is no longer what this step made of it")
        if self.previous is None:
            remove(self.cluster, self.name, wait)
            return None
        restored = self.cluster.replace(INFERENCE_SERVICE, merged(found, self.previous))
        return {**restored, "status": found.get("status", {})}

    def _await_previous(self, restored: Manifest, previous: Manifest) -> str:
        if not is_ready(previous):
            return f"InferenceService {self.name} has its previous spec again, which was not ready either"
        # A revision that KServe has not created yet will not be created, and the one before it stays the newest.
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
        return self.cluster.replace(INFERENCE_SERVICE, merged(found, with_previous(self.desired, found)))

    def _is_own(self, found: Manifest) -> bool:
        return digest_of(found) == digest_of(self.desired) and annotation(found, RUN_ANNOTATION) == self.run_id

    def _check_replaceable(self, found: Manifest) -> None:
        if not (is_ours(found) or self.take_over):
            label = "=".join(*MANAGED_BY.items())
            raise InputError(
                f"InferenceService {self.name} is not of this project, because it has no label {label}",
                fix="choose another --service-name, or replace it with --take-over true (pipeline parameter "
                "take_over_service)",
            )
        if "deletionTimestamp" in found["metadata"]:
            raise StepError(f"InferenceService {self.name} is being deleted", fix="deploy again when it is gone")
        mode, requested = mode_of(found), mode_of(self.desired)
        if mode and same_mode(mode) != same_mode(requested):
            raise InputError(
                f"InferenceService {self.name} runs in mode {mode}, which KServe cannot change to {requested}",
                fix=f"give --deployment-mode {mode}, or delete it: "
                f"kubectl -n {self.cluster.namespace} delete isvc {self.name}",
            )


def _retry_conflicts(attempt: Callable[[], T], too_many: StepError) -> T:
    """Repeat a change while others change the same object.

    Raises:
        StepError: `too_many`, if the object changed in between every time.
    """
    conflict = tenacity.retry_if_exception_type((ExistsError, NotFoundError))
    stop = tenacity.stop_after_attempt(_ATTEMPTS)
    try:
        return tenacity.Retrying(retry=conflict, stop=stop, wait=tenacity.wait_fixed(_PAUSE))(attempt)
    except tenacity.RetryError as error:
        raise too_many from error

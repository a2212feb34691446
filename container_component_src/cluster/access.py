"""Access to the Kubernetes API: credentials, requests, retries and one-line errors."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeVar

import tenacity
import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from container_component_src.cluster.kinds import Kind
from container_component_src.errors import InputError, StepError
from container_component_src.waiting import TRANSIENT_STATUSES

T = TypeVar("T")
Manifest = dict[str, Any]

TIMEOUT = (10, 60)  # seconds to connect, and to wait for an answer
PATIENCE = 900.0  # seconds to retry in a step: an upgrade of the API server takes minutes
CHECK_PATIENCE = 10.0  # seconds to retry while a person waits for the result
SHUTDOWN_PATIENCE = 1.0  # seconds to retry after SIGTERM: KFP's pods get SIGKILL one second later
LONGEST_PAUSE = 15.0  # seconds between two attempts
_WARNED_ATTEMPT = 5  # number of the failed attempt that is logged, after about three seconds

logger = logging.getLogger(__name__)


def connect(namespace: str, patience: float = PATIENCE) -> "Cluster":
    """Connect to a namespace with the credentials of the kubeconfig or of this process's pod.

    Args:
        namespace: Namespace of the requests.
        patience: Seconds for which a request is retried while the API server is unavailable.

    Raises:
        InputError: There are no credentials, or the namespace is empty.
    """
    if not namespace:
        raise InputError("no namespace given", fix="name the namespace of the jobs with --namespace")
    configuration = client.Configuration()
    try:
        file = os.environ.get("KUBECONFIG")  # the library reads it only once, at import
        if not file and config.incluster_config.SERVICE_HOST_ENV_NAME in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(file or None, client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise InputError(
            f"no cluster credentials ({error})", fix="run in a pod, set KUBECONFIG, or use --backend local"
        ) from error
    configuration.retries = False  # `Cluster.request` retries
    return Cluster(client.ApiClient(configuration), namespace, patience)


def to_manifest(model: object) -> Manifest:
    """Convert an SDK model to the plain object that the API takes, without its unset fields."""
    manifest: Manifest = client.ApiClient(client.Configuration()).sanitize_for_serialization(model)
    return manifest


@dataclass(frozen=True)
class Cluster:
    """One namespace of a cluster. A failed request raises a `StepError` that names the object."""

    api_client: client.ApiClient
    namespace: str
    patience: float = PATIENCE  # seconds for which a request is retried while the API server is unavailable

    @cached_property
    def for_shutdown(self) -> "Cluster":
        """The same access for a process that is about to be killed: it retries for one second at most."""
        return replace(self, patience=min(self.patience, SHUTDOWN_PATIENCE))

    @cached_property
    def core(self) -> client.CoreV1Api:
        """The core API: pods, logs, Secrets, events."""
        return client.CoreV1Api(self.api_client)

    @cached_property
    def _custom(self) -> client.CustomObjectsApi:
        return client.CustomObjectsApi(self.api_client)

    def serves(self, kind: Kind) -> bool:
        """Return whether the API knows a kind in its version; its operator may still be missing."""
        call = self._custom.get_api_resources
        try:
            found = self.request(call, "read", f"the resources of {kind.api_version}", kind.group, kind.version)
        except NotFoundError:
            return False
        return any(resource.name == kind.plural for resource in found.resources)

    def get(self, kind: Kind, name: str) -> Manifest | None:
        """Return an object, or None if it does not exist."""
        try:
            return self._call(self._custom.get_namespaced_custom_object, "get", kind, name=name)
        except NotFoundError:
            return None

    def list(self, kind: Kind, label_selector: str = "") -> "list[Manifest]":
        """Return the objects of a kind that match a label selector."""
        call = self._custom.list_namespaced_custom_object
        found: list[Manifest] = self._call(call, "list", kind, label_selector=label_selector)["items"]
        return found

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object; the API refuses unknown fields.

        Raises:
            ExistsError: An object of that name exists.
        """
        name, call = manifest["metadata"]["name"], self._custom.create_namespaced_custom_object
        return self._call(call, "create", kind, shown=name, body=manifest, field_validation="Strict")

    def replace(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Replace an object by a manifest with the `resourceVersion` of the object; the API refuses unknown fields."""
        name, call = manifest["metadata"]["name"], self._custom.replace_namespaced_custom_object
        return self._call(call, "update", kind, name=name, body=manifest, field_validation="Strict")

    def patch(self, kind: Kind, name: str, changes: Manifest) -> Manifest:
        """Merge changes into an object (JSON merge patch)."""
        return self._call(self._custom.patch_namespaced_custom_object, "patch", kind, name=name, body=changes)

    def delete(self, kind: Kind, name: str, propagation: str = "Background") -> bool:
        """Delete an object and everything it owns.

        Args:
            kind: Kind of the object.
            name: Name of the object.
            propagation: `Background`, or `Foreground` to keep the object until everything it owns is gone.

        Returns:
            False if there was no such object.
        """
        body = client.V1DeleteOptions(propagation_policy=propagation)
        try:
            self._call(self._custom.delete_namespaced_custom_object, "delete", kind, name=name, body=body)
        except NotFoundError:
            return False
        return True

    def _call(self, request: Callable[..., Any], verb: str, kind: Kind, shown: str = "", **options: Any) -> Manifest:
        thing = f"{kind.name} {shown or options.get('name', '')}".rstrip()
        place = (kind.group, kind.version, self.namespace, kind.plural)
        answer: Manifest = self.request(request, verb, thing, *place, missing=kind.operator, **options)
        return answer

    def request(
        self, call: Callable[..., T], verb: str, thing: str, *arguments: Any, missing: str = "", **options: Any
    ) -> T:
        """Make a request, and retry it while the API server is unavailable.

        It is safe to retry a creation: names are deterministic, so the retry finds the object of the first attempt.

        Args:
            call: Method of an API class.
            verb: What the request does, for the message.
            thing: Object of the request, for the message.
            arguments: Positional arguments of the call.
            missing: What to install if the API does not know the resource.
            options: Keyword arguments of the call.

        Raises:
            NotFoundError: There is no such object.
            ExistsError: The object exists, or has changed.
            ForbiddenError: The request is not allowed.
            TransientError: The API server was unavailable for longer than `patience`.
            StepError: The API refused the request.
        """

        def attempt() -> T:
            try:
                return call(*arguments, _request_timeout=TIMEOUT, **options)
            except ApiException as error:
                raise self._explain(error, verb, thing, missing) from error
            except urllib3.exceptions.HTTPError as error:
                host, problem = self.api_client.configuration.host, type(error).__name__
                raise TransientError(
                    f"cannot {verb} {thing}: the cluster at {host} does not answer ({problem})", fix="check the network"
                ) from error

        return self._retrying(attempt)

    @property
    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_delay(self.patience),
            wait=tenacity.wait_exponential(multiplier=0.1, max=LONGEST_PAUSE),
            before_sleep=self._warn,
            reraise=True,
        )

    def _warn(self, state: tenacity.RetryCallState) -> None:
        if state.attempt_number == _WARNED_ATTEMPT and state.outcome is not None:
            logger.warning("%s; retrying for up to %g s", state.outcome.exception(), self.patience)

    def _explain(self, error: ApiException, verb: str, thing: str, missing: str) -> StepError:
        where = f"{thing} in namespace {self.namespace}"
        match error.status:
            case HTTPStatus.NOT_FOUND if verb in ("create", "list"):
                return UnknownKindError(
                    f"cannot {verb} {where}: the cluster does not know the kind", fix=f"install {missing}"
                )
            case HTTPStatus.NOT_FOUND:
                return NotFoundError(f"there is no {where}")
            case HTTPStatus.CONFLICT:
                return ExistsError(
                    f"cannot {verb} {where}: it already exists or has been modified", fix="run the step again"
                )
            case HTTPStatus.UNAUTHORIZED:
                return StepError(f"cannot {verb} {where}: the credentials are not accepted", fix="renew them")
            case HTTPStatus.FORBIDDEN:
                return ForbiddenError(f"not allowed to {verb} {where}: {_reason(error)}", fix="apply deploy/rbac.yaml")
        # The client reports a failed TLS handshake with status 0: a proxy before the API server closed the connection.
        cut_off = error.status == 0 and "CERTIFICATE_VERIFY_FAILED" not in str(error.reason)
        error_type = TransientError if error.status in TRANSIENT_STATUSES or cut_off else StepError
        return error_type(f"cannot {verb} {where}: {_reason(error)} (HTTP {error.status})", fix="see docs/cluster.md")


class TransientError(StepError):
    """The API server is unavailable or overloaded; what runs on the cluster continues without it."""


class NotFoundError(StepError):
    """There is no such object."""


class UnknownKindError(StepError):
    """The cluster does not know the kind of object."""


class ForbiddenError(StepError):
    """The credentials lack the right, or a policy of the cluster refuses the request."""


class ExistsError(StepError):
    """There is already such an object, or a newer version of it."""


def _reason(error: ApiException) -> str:
    """Return the API's message about a refused request, in one line."""
    try:
        message = json.loads(error.body or "{}").get("message")
    except (ValueError, AttributeError):
        message = None
    return " ".join(str(message or error.reason or "no reason given").split())

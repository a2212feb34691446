"""The one place where credentials of a cluster are loaded and its API is called."""

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

T = TypeVar("T")
Manifest = dict[str, Any]

TIMEOUT = (10, 60)  # seconds to connect, and to wait for an answer
PATIENCE = 900.0  # seconds for which a step waits for an API server that is away: an upgrade of it takes minutes
CHECK_PATIENCE = 10.0  # seconds where a person waits for the result of a check
SHUTDOWN_PATIENCE = 1.0  # seconds where the kernel ends this process soon: KFP's pods get one second after SIGTERM
LONGEST_PAUSE = 15.0  # seconds between two attempts
_TOLD_ATTEMPT = 5  # with which the user learns that something is waited for, after about three seconds
_PASSING = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}

logger = logging.getLogger(__name__)


def connect(namespace: str, patience: float = PATIENCE) -> "Cluster":
    """Access to a namespace with the credentials of the kubeconfig, or of the pod this runs in.

    Args:
        namespace: The one that requests are for.
        patience: Seconds for which a request is repeated while the API server is away or overloaded.

    Raises:
        InputError: There are no credentials, or no namespace is named.
    """
    if not namespace:
        raise InputError("no namespace named; name the one that jobs shall run in with --namespace")
    configuration = client.Configuration()
    try:
        if "KUBECONFIG" not in os.environ and config.incluster_config.SERVICE_HOST_ENV_NAME in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:  # its own default is read when kubernetes is imported
            config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise InputError(
            f"no credentials of a cluster ({error}); run in a pod, set KUBECONFIG, or use --backend local"
        ) from error
    configuration.retries = False  # `Cluster.request` repeats, for as long as it is meant to
    return Cluster(client.ApiClient(configuration), namespace, patience)


def to_manifest(model: object) -> Manifest:
    """A model of an SDK as the plain object that the API takes; unset fields are left out."""
    manifest: Manifest = client.ApiClient(client.Configuration()).sanitize_for_serialization(model)
    return manifest


@dataclass(frozen=True)
class Cluster:
    """One namespace of a cluster; every failure of a request is a `StepError` that names the object."""

    api_client: client.ApiClient
    namespace: str
    patience: float = PATIENCE  # seconds for which a request is repeated while the API server is away or overloaded

    @cached_property
    def for_shutdown(self) -> "Cluster":
        """The same access for a process that is about to be killed: requests are repeated for a second at most."""
        return replace(self, patience=min(self.patience, SHUTDOWN_PATIENCE))

    @cached_property
    def core(self) -> client.CoreV1Api:
        """Pods, their logs, Secrets."""
        return client.CoreV1Api(self.api_client)

    @cached_property
    def _custom(self) -> client.CustomObjectsApi:
        return client.CustomObjectsApi(self.api_client)

    def get(self, kind: Kind, name: str) -> Manifest | None:
        """An object, or None if there is none of that name."""
        try:
            return self._call(self._custom.get_namespaced_custom_object, "get", kind, name=name)
        except NotFoundError:
            return None

    def list(self, kind: Kind, label_selector: str = "") -> "list[Manifest]":
        """The objects of a kind with some labels."""
        call = self._custom.list_namespaced_custom_object
        found: list[Manifest] = self._call(call, "list", kind, label_selector=label_selector)["items"]
        return found

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object.

        Raises:
            ExistsError: There is one of that name.
        """
        name = manifest["metadata"]["name"]
        return self._call(
            self._custom.create_namespaced_custom_object,
            "create",
            kind,
            shown=name,
            body=manifest,
            field_validation="Strict",
        )

    def replace(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Put a manifest, which has the `resourceVersion` of the one that it replaces, in the place of an object."""
        name = manifest["metadata"]["name"]
        return self._call(
            self._custom.replace_namespaced_custom_object,
            "update",
            kind,
            name=name,
            body=manifest,
            field_validation="Strict",
        )

    def patch(self, kind: Kind, name: str, changes: Manifest) -> Manifest:
        """Merge changes into an object (JSON merge patch)."""
        return self._call(self._custom.patch_namespaced_custom_object, "patch", kind, name=name, body=changes)

    def delete(self, kind: Kind, name: str, propagation: str = "Background") -> bool:
        """Delete an object and all that it owns.

        Args:
            kind: Of the object.
            name: Of the object.
            propagation: `Background`, or `Foreground`: then the object is there until all that it owns is gone.

        Returns:
            False if there was none.
        """
        try:
            self._call(
                self._custom.delete_namespaced_custom_object,
                "delete",
                kind,
                name=name,
                body=client.V1DeleteOptions(propagation_policy=propagation),
            )
        except NotFoundError:
            return False
        return True

    def _call(self, request: Callable[..., Any], verb: str, kind: Kind, shown: str = "", **arguments: Any) -> Manifest:
        thing = f"{kind.name} {shown or arguments.get('name', '')}".rstrip()
        answer: Manifest = self.request(
            request,
            verb,
            thing,
            kind.group,
            kind.version,
            self.namespace,
            kind.plural,
            missing=kind.operator,
            **arguments,
        )
        return answer

    def request(
        self, call: Callable[..., T], verb: str, thing: str, *arguments: Any, missing: str = "", **options: Any
    ) -> T:
        """Make a request, repeat it while the API server is away or overloaded, and say in one line what went wrong.

        Repeating a creation is safe: names are deterministic, so the repetition finds what the first one made.

        Args:
            call: Method of an API class.
            verb: What it does, for the message.
            thing: What it does that to, for the message.
            arguments: Of the call.
            missing: What is not installed if the API does not know the resource.
            options: Of the call.

        Raises:
            NotFoundError: There is no such object.
            ExistsError: There is one already.
            ForbiddenError: It is not allowed.
            TransientError: The API server was away or overloaded for longer than `patience`.
            StepError: The API refused the request.
        """

        def attempt() -> T:
            try:
                return call(*arguments, _request_timeout=TIMEOUT, **options)
            except ApiException as error:
                raise self._refusal(error, verb, thing, missing) from error
            except urllib3.exceptions.HTTPError as error:
                host, problem = self.api_client.configuration.host, type(error).__name__
                raise TransientError(
                    f"cannot {verb} {thing}: the cluster at {host} does not answer ({problem}); check the network"
                ) from error

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_delay(self.patience),
            wait=tenacity.wait_exponential(multiplier=0.1, max=LONGEST_PAUSE),
            before_sleep=self._warn,
            reraise=True,
        )
        return retrying(attempt)

    def _warn(self, state: tenacity.RetryCallState) -> None:
        """Say once what is waited for; the first attempts are fast and often enough."""
        if state.attempt_number == _TOLD_ATTEMPT and state.outcome is not None:
            logger.warning("%s; waiting up to %g s for it", state.outcome.exception(), self.patience)

    def _refusal(self, error: ApiException, verb: str, thing: str, missing: str) -> StepError:
        where = f"{thing} in namespace {self.namespace}"
        match error.status:
            case HTTPStatus.NOT_FOUND if verb in ("create", "list"):
                return UnknownKindError(f"cannot {verb} {where}: the cluster does not know the kind; install {missing}")
            case HTTPStatus.NOT_FOUND:
                return NotFoundError(f"there is no {where}")
            case HTTPStatus.CONFLICT:
                return ExistsError(
                    f"cannot {verb} {where}: it exists already or has changed meanwhile; run the step again"
                )
            case HTTPStatus.UNAUTHORIZED:
                return StepError(f"cannot {verb} {where}: the credentials are not accepted; renew them")
            case HTTPStatus.FORBIDDEN:
                return ForbiddenError(f"not allowed to {verb} {where}: {reason(error)}; apply deploy/rbac.yaml")
        # The client reports a failed TLS handshake so: a connection cut off by what stands before the API server.
        cut_off = error.status == 0 and "CERTIFICATE_VERIFY_FAILED" not in str(error.reason)
        kind = TransientError if error.status in _PASSING or cut_off else StepError
        return kind(f"cannot {verb} {where}: {reason(error)} (HTTP {error.status}); see docs/cluster.md")


class TransientError(StepError):
    """The API server is away or overloaded: what runs on the cluster goes on without it."""


class NotFoundError(StepError):
    """There is no such object."""


class UnknownKindError(StepError):
    """The cluster does not know the kind of object."""


class ForbiddenError(StepError):
    """The credentials lack the right, or a policy of the cluster is against it."""


class ExistsError(StepError):
    """There is such an object already, or a newer one."""


def reason(error: ApiException) -> str:
    """What the API says of a refused request, in one line."""
    try:
        message = json.loads(error.body or "{}").get("message")
    except (ValueError, AttributeError):
        message = None
    return " ".join(str(message or error.reason or "no reason given").split())

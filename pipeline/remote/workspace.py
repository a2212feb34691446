"""Where runs are submitted to: a client, a namespace, and the pages that show them."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import kfp

from container_component_src.cluster.access import Cluster, connect
from container_component_src.cluster.step import NAMESPACE_FILE, own_namespace
from container_component_src.errors import InputError
from pipeline.auth_session import AuthSession
from pipeline.login.errors import PlatformError, no_api, not_ready
from pipeline.login.settings import ENDPOINT, NAMESPACE, RemoteSettings, normalise_endpoint
from pipeline.remote.client import get_text, notebook_client, remote_client, use_namespace

_PAGES_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"  # as kfp's client reads it
_DASHBOARD_PAGES = "/_/pipeline"  # where the dashboard shows those of Kubeflow Pipelines
_PAGES = "/pipeline"  # where they are without the dashboard
_NAMESPACES = "/api/workgroup/env-info"  # of the dashboard: who is logged in, and the namespaces of this user
_HEALTH = "/apis/v2beta1/healthz"
_READY_TRIES = 5  # the pages' server gives the API server one second, so that a busy one seems to be away
_PATIENCE = 5.0  # seconds for a Kubernetes API that is away
READY_PAUSE = 2.0  # seconds
_OWNER = "owner"  # role of users in their own namespaces
_NAMESPACE_OF_SINGLE_USER = "kubeflow"  # where a platform for a single user starts the pods of runs


@dataclass(frozen=True)
class Workspace:
    """A namespace of a platform.

    Attributes:
        client: kfp's client.
        host: What messages call the platform.
        namespace: Where pods of runs are started.
        namespace_source: Where its name comes from, for messages.
        multi_user: Whether experiments and runs belong to namespaces.
        ui: Address of the pages of Kubeflow Pipelines; a path alone if this pod does not know the platform's address.
        cluster: Access to the namespace with the rights of this pod; None outside of the cluster.
    """

    client: kfp.Client
    host: str
    namespace: str
    namespace_source: str
    multi_user: bool
    ui: str
    cluster: Cluster | None = None

    @property
    def owner(self) -> str | None:
        """The namespace as the API takes it: a platform for a single user refuses one."""
        return self.namespace if self.multi_user else None

    def run_url(self, run_id: str) -> str:
        """The page of a run."""
        return self._page(f"runs/details/{run_id}")

    def schedule_url(self, schedule_id: str) -> str:
        """The page of a recurring run."""
        return self._page(f"recurringrun/details/{schedule_id}")

    def pipeline_url(self, pipeline_id: str, version_id: str = "") -> str:
        """The page of a pipeline, or of a version of it."""
        return self._page(f"pipelines/details/{pipeline_id}{version_id and f'/version/{version_id}'}")

    def _page(self, path: str) -> str:
        return f"{self.ui}/{f'?ns={self.namespace}' if self.multi_user else ''}#/{path}"


def open_remote(settings: RemoteSettings) -> Workspace:
    """Log in at a platform.

    Raises:
        InputError: The login or the namespace is wrong.
        PlatformError: The platform cannot be reached, or refuses.
    """
    endpoint = settings.endpoint
    client = remote_client(settings, AuthSession(settings))
    multi_user = _is_multi_user(client, endpoint)
    namespace, source = settings.namespace, settings.namespace_source
    if not namespace:
        namespace, source = _find_namespace(client, endpoint, multi_user)
    ui = endpoint + (_DASHBOARD_PAGES if multi_user else _PAGES)
    workspace = Workspace(client, endpoint, namespace, source, multi_user, ui)
    return _entered(workspace, lambda: _namespaces_of_user(client, endpoint))


def open_from_notebook(environment: Mapping[str, str] = os.environ) -> Workspace:
    """Use the platform that this pod runs on.

    Raises:
        InputError: This is no pod with access to Kubeflow Pipelines.
        PlatformError: The API cannot be reached, or refuses.
    """
    named = environment.get(NAMESPACE, "")
    namespace, source = own_namespace(named, environment), NAMESPACE if named else "that of this pod"
    client = notebook_client(environment)
    if not namespace:
        raise InputError(f"the namespace of this pod is not known (no {NAMESPACE_FILE}): set {NAMESPACE}")
    host = client.runs.api_client.configuration.host
    endpoint = normalise_endpoint(environment[ENDPOINT]) if environment.get(ENDPOINT) else ""
    ui = environment.get(_PAGES_VARIABLE, endpoint + _DASHBOARD_PAGES)
    multi_user = _is_multi_user(client, host)
    return _entered(Workspace(client, host, namespace, source, multi_user, ui, _cluster_of_pod(namespace)), dict)


def _cluster_of_pod(namespace: str) -> Cluster | None:
    """Access to Kubernetes, which tells more than Kubeflow Pipelines where the pod's account may ask."""
    try:
        return connect(namespace, _PATIENCE)
    except InputError:
        return None


def _is_multi_user(client: kfp.Client, host: str) -> bool:
    """Whether experiments and runs belong to namespaces, as the API says once it is ready.

    Raises:
        PlatformError: The API is not there, or does not get ready.
    """
    for attempt in range(_READY_TRIES):
        if attempt:
            time.sleep(READY_PAUSE)
        try:
            told = json.loads(get_text(client, _HEALTH))
        except PlatformError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise no_api(host, str(error.status)) from error
        except ValueError as error:
            raise no_api(host, "something else than JSON") from error
        if not isinstance(told, dict):
            raise no_api(host, "something else than its state")
        if told.get("apiServerReady", True):
            return bool(told.get("multi_user"))
    raise not_ready(host)


def _entered(workspace: Workspace, known_namespaces: Callable[[], Mapping[str, str]]) -> Workspace:
    """Check that the API lets us into the namespace."""
    use_namespace(workspace.client, workspace.owner or "")
    try:
        workspace.client.list_experiments(page_size=1, namespace=workspace.owner or "")
    except PlatformError as error:
        if error.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND} or not error.from_api:
            raise
        try:
            known = ", ".join(sorted(known_namespaces()))
        except InputError:
            known = ""
        raise InputError(
            f"namespace '{workspace.namespace}' ({workspace.namespace_source}): there is none that this user belongs "
            f"to: set {NAMESPACE}{known and f' to one of {known}'}"
        ) from error
    return workspace


def _find_namespace(client: kfp.Client, endpoint: str, multi_user: bool) -> tuple[str, str]:
    """The namespace of a user who names none, and where its name comes from.

    Raises:
        InputError: The dashboard does not tell it, or there are several.
    """
    if not multi_user:
        return _NAMESPACE_OF_SINGLE_USER, f"as this platform is for a single user; set {NAMESPACE} for another"
    roles = _namespaces_of_user(client, endpoint)
    own = [name for name, role in roles.items() if role == _OWNER] or list(roles)
    if len(own) == 1:
        return own[0], f"as the dashboard says; set {NAMESPACE} for another"
    if own:
        raise InputError(f"several namespaces are yours: set {NAMESPACE} to one of {', '.join(sorted(roles))}")
    raise InputError(f"the dashboard at {endpoint} knows no namespace of this user: set {NAMESPACE}")


def _namespaces_of_user(client: kfp.Client, endpoint: str) -> dict[str, str]:
    """The user's role by namespace, as the dashboard says.

    Raises:
        InputError: It does not say, or there is none.
    """
    try:
        told = json.loads(get_text(client, _NAMESPACES, host=endpoint))
        return {str(entry["namespace"]): str(entry.get("role", "")) for entry in told["namespaces"]}
    except (PlatformError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = f" ({error})" if isinstance(error, PlatformError) else ""
        raise InputError(
            f"the dashboard at {endpoint} does not tell the namespaces of this user{reason}: set {NAMESPACE}"
        ) from error

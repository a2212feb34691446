"""Workspaces, to which runs are submitted: an API client, a namespace and the pages of its runs."""

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

_PAGES_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"  # the variable of kfp's client
_DASHBOARD_PAGES = "/_/pipeline"  # path of Kubeflow Pipelines' pages in the dashboard
_PAGES = "/pipeline"  # their path without the dashboard
_NAMESPACES = "/api/workgroup/env-info"  # of the dashboard: the user and their namespaces
_HEALTH = "/apis/v2beta1/healthz"
_READY_ATTEMPTS = 5  # the UI server waits one second for the API server, so a busy one may seem to be down
_KUBERNETES_PATIENCE = 5.0  # seconds for which requests to Kubernetes are repeated
READY_PAUSE = 2.0  # seconds
_OWNER = "owner"  # role of a user in their own namespace
_NAMESPACE_OF_SINGLE_USER = "kubeflow"  # of all runs on a single-user platform


@dataclass(frozen=True)
class Workspace:
    """A namespace of a platform and a client for it.

    Attributes:
        client: kfp's client.
        host: Name of the platform in messages.
        namespace: Namespace of the runs' pods.
        namespace_source: Origin of the namespace, for messages.
        multi_user: Whether experiments and runs belong to namespaces.
        ui: Address of Kubeflow Pipelines' pages; only a path if this pod does not know the platform's address.
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
        """Namespace for requests to the API; None on a single-user platform, which refuses a namespace."""
        return self.namespace if self.multi_user else None

    def run_url(self, run_id: str) -> str:
        """Return the address of a run's page."""
        return self._page(f"runs/details/{run_id}")

    def schedule_url(self, schedule_id: str) -> str:
        """Return the address of a recurring run's page."""
        return self._page(f"recurringrun/details/{schedule_id}")

    def pipeline_url(self, pipeline_id: str, version_id: str = "") -> str:
        """Return the address of the page of a pipeline, or of one of its versions."""
        return self._page(f"pipelines/details/{pipeline_id}{version_id and f'/version/{version_id}'}")

    def _page(self, path: str) -> str:
        return f"{self.ui}/{f'?ns={self.namespace}' if self.multi_user else ''}#/{path}"


def open_remote(settings: RemoteSettings) -> Workspace:
    """Open a workspace on a platform by logging in.

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
    return _checked(workspace, lambda: _namespaces_of_user(client, endpoint))


def open_from_notebook(environment: Mapping[str, str] = os.environ) -> Workspace:
    """Open a workspace on the platform that this pod runs on.

    Raises:
        InputError: This process does not run in a pod with access to Kubeflow Pipelines.
        PlatformError: The API cannot be reached, or refuses.
    """
    named = environment.get(NAMESPACE, "")
    namespace, source = own_namespace(named, environment), NAMESPACE if named else "of this pod"
    client = notebook_client(environment)
    if not namespace:
        raise InputError(f"unknown namespace of this pod (no {NAMESPACE_FILE})", fix=f"set {NAMESPACE}")
    host = client.runs.api_client.configuration.host
    endpoint = normalise_endpoint(environment[ENDPOINT]) if environment.get(ENDPOINT) else ""
    ui = environment.get(_PAGES_VARIABLE, endpoint + _DASHBOARD_PAGES)
    multi_user = _is_multi_user(client, host)
    return _checked(Workspace(client, host, namespace, source, multi_user, ui, _cluster_of_pod(namespace)), dict)


def _cluster_of_pod(namespace: str) -> Cluster | None:
    """Return access to Kubernetes, which knows more than Kubeflow Pipelines; None without credentials."""
    try:
        return connect(namespace, _KUBERNETES_PATIENCE)
    except InputError:
        return None


def _is_multi_user(client: kfp.Client, host: str) -> bool:
    """Wait until the API is ready, and return whether experiments and runs belong to namespaces.

    Raises:
        PlatformError: There is no API at the address, or it does not become ready.
    """
    for attempt in range(_READY_ATTEMPTS):
        if attempt:
            time.sleep(READY_PAUSE)
        try:
            health = json.loads(get_text(client, _HEALTH))
        except PlatformError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise no_api(host, str(error.status)) from error
        except ValueError as error:
            raise no_api(host, "a text that is not JSON") from error
        if not isinstance(health, dict):
            raise no_api(host, "JSON without a health status")
        if health.get("apiServerReady", True):
            return bool(health.get("multi_user"))
    raise not_ready(host)


def _checked(workspace: Workspace, known_namespaces: Callable[[], Mapping[str, str]]) -> Workspace:
    """Check that the user has access to the namespace."""
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
            f"namespace '{workspace.namespace}' ({workspace.namespace_source}) does not exist or is not accessible to "
            "this user",
            fix=f"set {NAMESPACE}{known and f' to one of {known}'}",
        ) from error
    return workspace


def _find_namespace(client: kfp.Client, endpoint: str, multi_user: bool) -> tuple[str, str]:
    """Return the namespace of a user who named none, and its origin for messages.

    Raises:
        InputError: The dashboard does not return a namespace, or it returns several.
    """
    if not multi_user:
        return _NAMESPACE_OF_SINGLE_USER, f"of this single-user platform; set {NAMESPACE} for another one"
    roles = _namespaces_of_user(client, endpoint)
    own = [name for name, role in roles.items() if role == _OWNER] or list(roles)
    if len(own) == 1:
        return own[0], f"from the dashboard; set {NAMESPACE} for another one"
    if own:
        raise InputError(
            "this user has several namespaces", fix=f"set {NAMESPACE} to one of {', '.join(sorted(roles))}"
        )
    raise InputError(f"the dashboard at {endpoint} lists no namespace of this user", fix=f"set {NAMESPACE}")


def _namespaces_of_user(client: kfp.Client, endpoint: str) -> dict[str, str]:
    """Return the user's roles by namespace, as the dashboard lists them.

    Raises:
        InputError: The dashboard does not list them, or there is no dashboard.
    """
    try:
        listed = json.loads(get_text(client, _NAMESPACES, host=endpoint))["namespaces"]
        return {str(entry["namespace"]): str(entry.get("role", "")) for entry in listed}
    except (PlatformError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = f" ({error})" if isinstance(error, PlatformError) else ""
        raise InputError(
            f"the dashboard at {endpoint} does not list the namespaces of this user{reason}", fix=f"set {NAMESPACE}"
        ) from error

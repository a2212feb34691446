"""Where runs are submitted to: a client, a namespace, and the pages that show them."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import kfp
import urllib3

from container_component_src.cluster.access import Cluster, connect
from container_component_src.errors import InputError
from pipeline.auth_session import AuthSession
from pipeline.remote.client import get_text, notebook_client, remote_client
from pipeline.remote.problems import PlatformError, no_api
from pipeline.remote.settings import ENDPOINT, NAMESPACE, RemoteSettings, normalise_endpoint

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PAGES_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"  # as kfp's client reads it
_DASHBOARD_PAGES = "/_/pipeline"  # where the dashboard shows those of Kubeflow Pipelines
_PAGES = "/pipeline"  # where they are without the dashboard
_NAMESPACES = "/api/workgroup/env-info"  # of the dashboard: who is logged in, and the namespaces of this user


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
    client = remote_client(settings, AuthSession(settings))
    return _entered(
        client,
        settings.endpoint,
        settings.namespace,
        settings.namespace_source,
        lambda multi_user: settings.endpoint + (_DASHBOARD_PAGES if multi_user else _PAGES),
        lambda: _namespaces_of_user(client, settings.endpoint),
    )


def open_from_notebook(environment: Mapping[str, str] = os.environ) -> Workspace:
    """Use the platform that this pod runs on.

    Raises:
        InputError: This is no pod with access to Kubeflow Pipelines.
        PlatformError: The API cannot be reached, or refuses.
    """
    namespace, source = environment.get(NAMESPACE, ""), NAMESPACE
    if not namespace and NAMESPACE_FILE.is_file():
        namespace, source = NAMESPACE_FILE.read_text(encoding="utf-8").strip(), "that of this pod"
    client = notebook_client(namespace, environment)
    if not namespace:
        raise InputError(f"the namespace of this pod is not known (no {NAMESPACE_FILE}): set {NAMESPACE}")
    host = client.runs.api_client.configuration.host
    endpoint = normalise_endpoint(environment[ENDPOINT]) if environment.get(ENDPOINT) else ""
    pages = environment.get(_PAGES_VARIABLE, endpoint + _DASHBOARD_PAGES)
    entered = _entered(client, host, namespace, source, lambda multi_user: pages, list)
    return replace(entered, cluster=_cluster_of_pod(namespace))


def _cluster_of_pod(namespace: str) -> Cluster | None:
    """Access to Kubernetes, which tells more than Kubeflow Pipelines where the pod's account may ask."""
    try:
        return connect(namespace, urllib3.Retry(total=1))
    except InputError:
        return None


def _entered(
    client: kfp.Client,
    host: str,
    namespace: str,
    source: str,
    ui: Callable[[bool], str],
    known_namespaces: Callable[[], list[str]],
) -> Workspace:
    """Check that the API answers, and lets us into the namespace."""
    try:
        multi_user = bool(client.healthzs.healthz_service_get_healthz().multi_user)
    except PlatformError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise no_api(host, str(error.status)) from error
    if not multi_user:
        # kfp's client would put it into every request; its own way to change that writes a file in the home folder.
        client._context_setting["namespace"] = ""
    workspace = Workspace(client, host, namespace, source, multi_user, ui(multi_user))
    try:
        client.list_experiments(page_size=1, namespace=workspace.owner or "")
    except PlatformError as error:
        if error.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            raise
        known = ", ".join(known_namespaces())
        raise InputError(
            f"namespace '{namespace}' ({source}): there is none that this user belongs to: "
            f"set {NAMESPACE}{known and f' to one of {known}'}"
        ) from error
    return workspace


def _namespaces_of_user(client: kfp.Client, endpoint: str) -> list[str]:
    """What the dashboard says; nothing where there is none."""
    try:
        told = json.loads(get_text(client, _NAMESPACES, host=endpoint))
        return sorted(str(entry["namespace"]) for entry in told["namespaces"])
    except (PlatformError, ValueError, LookupError, TypeError):
        return []

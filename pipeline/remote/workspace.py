"""Where runs are submitted to: a client, a namespace, and the pages that show them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import kfp

from container_component_src.errors import InputError
from pipeline.auth_session import AuthSession
from pipeline.remote.client import notebook_client, remote_client
from pipeline.remote.problems import PlatformError
from pipeline.remote.settings import NAMESPACE, RemoteSettings

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DASHBOARD_PAGES = "/_/pipeline"  # where the dashboard shows those of Kubeflow Pipelines


@dataclass(frozen=True)
class Workspace:
    """A namespace of a platform.

    Attributes:
        client: kfp's client.
        namespace: Where pods of runs are started.
        multi_user: Whether experiments and runs belong to namespaces.
        ui: Address of the pages of Kubeflow Pipelines; a path alone if this pod does not know the platform's address.
    """

    client: kfp.Client
    namespace: str
    multi_user: bool
    ui: str

    @property
    def owner(self) -> str | None:
        """The namespace as the API takes it: a platform for a single user refuses one."""
        return self.namespace if self.multi_user else None

    def run_url(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.ui}/?ns={self.namespace}#/runs/details/{run_id}"


def open_remote(settings: RemoteSettings) -> Workspace:
    """Log in at a platform.

    Raises:
        InputError: The login or the namespace is wrong.
        PlatformError: The platform cannot be reached, or refuses.
    """
    ui = settings.endpoint + _DASHBOARD_PAGES
    client = remote_client(settings, AuthSession(settings), ui)
    return _entered(client, settings.namespace, settings.namespace_source, ui)


def open_from_notebook(environment: Mapping[str, str] = os.environ) -> Workspace:
    """Use the platform that this pod runs on.

    Raises:
        InputError: This is no pod with access to Kubeflow Pipelines.
        PlatformError: The API cannot be reached, or refuses.
    """
    ui = environment.get("KF_PIPELINES_UI_ENDPOINT", _DASHBOARD_PAGES)
    namespace, source = environment.get(NAMESPACE, ""), NAMESPACE
    if not namespace and NAMESPACE_FILE.is_file():
        namespace, source = NAMESPACE_FILE.read_text(encoding="utf-8").strip(), "that of this pod"
    client = notebook_client(namespace, ui, environment)
    if not namespace:
        raise InputError(f"the namespace of this pod is not known (no {NAMESPACE_FILE}): set {NAMESPACE}")
    return _entered(client, namespace, source, ui)


def _entered(client: kfp.Client, namespace: str, source: str, ui: str) -> Workspace:
    """Check that the API answers, and lets us into the namespace."""
    multi_user = bool(client.healthzs.healthz_service_get_healthz().multi_user)
    if not multi_user:
        # kfp's client would put it into every request; its own way to change that writes a file in the home folder.
        client._context_setting["namespace"] = ""
    workspace = Workspace(client, namespace, multi_user, ui)
    try:
        client.list_experiments(page_size=1, namespace=workspace.owner or "")
    except PlatformError as error:
        if error.status not in {403, 404}:
            raise
        raise InputError(
            f"namespace '{namespace}' ({source}): there is none that this user belongs to: set {NAMESPACE}"
        ) from error
    return workspace

"""Checks of the two stores: the artifact store of Kubeflow Pipelines, and the user's data store."""

import uuid

import yaml

from container_component_src import storage
from container_component_src.cluster.access import Cluster, ForbiddenError, NotFoundError
from container_component_src.data_root import WRITE_PROBE
from container_component_src.errors import PipelineError, StepError
from container_component_src.maintenance.checks import Check, failed_check, one_line
from container_component_src.storage import Location

LAUNCHER = "kfp-launcher"  # ConfigMap that names the artifact store of the namespace's runs
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"  # artifact folder if the ConfigMap names none
WRITING = "data root"  # name of the check
NO_ROOT = "unless both are one store, set [paths] data_root to an address like s3://bucket/runs and pass --data-root"


def check_launcher(cluster: Cluster, data_root: str, secret: str) -> tuple[list[Check], str]:
    """Report which store holds artifacts and which one holds datasets.

    Args:
        cluster: Access to the namespace of the steps.
        data_root: Folder of the datasets; empty to keep them in the artifact store.
        secret: Name of the Secret with the keys of the user's store.

    Returns:
        The checks, and the folder of the datasets, which is empty if it is unknown.
    """
    name, root = "store of Kubeflow Pipelines", ""
    try:
        read = cluster.core.read_namespaced_config_map
        settings = cluster.request(read, "read", f"ConfigMap {LAUNCHER}", LAUNCHER, cluster.namespace).data or {}
        root = settings.get("defaultPipelineRoot") or DEFAULT_ROOT
        detail = f"{root}{_providers(settings)}: the launcher keeps small artifacts there, with its own keys"
        artifacts = Check(name, True, detail)
    except NotFoundError:
        fix = "check that this namespace is a Kubeflow profile"
        artifacts = Check(name, False, f"unknown, because there is no ConfigMap {LAUNCHER}", fix, required=False)
    except ForbiddenError:
        fix = "run doctor with credentials that may get ConfigMaps"
        artifacts = Check(name, False, f"these credentials may not read ConfigMap {LAUNCHER}", fix, required=False)
    except StepError as error:
        return [failed_check(name, error)], data_root
    if data_root:
        own = Check("your own store", True, f"{data_root}: datasets, with the keys of {secret}")
        return [artifacts, own], data_root
    detail = (
        f"no --data-root: datasets go to {root or 'the store of Kubeflow Pipelines'} too, with the keys of {secret}"
    )
    return [artifacts, Check("your own store", False, detail, NO_ROOT, required=False)], root


def _providers(settings: dict[str, str]) -> str:
    """Return the endpoint that the ConfigMap names, or an empty string if it names none."""
    try:
        providers = yaml.safe_load(settings.get("providers", "")) or {}
        endpoints = [provider["default"]["endpoint"] for provider in providers.values()]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return ""
    return f" at {', '.join(endpoints)}" if endpoints else ""


def check_writing(folder: str) -> Check:
    """Check that a step can write, read and list a folder; deleting is tried but not required."""
    try:
        place = storage.resolve(folder)
        content = uuid.uuid4().hex.encode()
        probe = place / WRITE_PROBE
        probe.write_bytes(content)
        if probe.read_bytes() != content or probe.path not in {child.path for child in place.children()}:
            return Check(WRITING, False, f"{place.uri}: a written file does not appear", "use a consistent store")
    except PipelineError as error:
        return failed_check(WRITING, error)
    except OSError as error:
        fix = "check its name, and that the keys have the rights to Put, Get and List there"
        return Check(WRITING, False, f"{folder}: {one_line(error)}", fix)
    return Check(WRITING, True, f"{place.uri}: Put, Get and List work; {_delete(probe)}")


def _delete(probe: Location) -> str:
    """Delete the written file, and return whether that worked."""
    try:
        probe.remove()
        if not probe.exists():  # s3fs ignores objects that the store refuses to delete
            return "Delete works too"
    except (PipelineError, OSError):
        pass
    return f"Delete does not, and is not needed ({WRITE_PROBE} remains)"

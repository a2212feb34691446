"""Checks of the two stores: the one that Kubeflow Pipelines keeps artifacts in, and the user's own."""

import uuid

import yaml

from container_component_src import storage
from container_component_src.cluster.access import Cluster, ForbiddenError, NotFoundError
from container_component_src.data_root import WRITE_PROBE
from container_component_src.errors import PipelineError, StepError
from container_component_src.maintenance.checks import Check, failed_check
from container_component_src.storage import Location

LAUNCHER = "kfp-launcher"  # ConfigMap of a namespace that says where its runs keep artifacts
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"  # of the launcher, where the ConfigMap does not say
WRITING = "data root"  # name of the check
NO_ROOT = "unless both are one store, set [paths] data_root to an address like s3://bucket/runs, and give it here"


def check_launcher(cluster: Cluster, data_root: str, secret: str) -> tuple[list[Check], str]:
    """Say which store is which.

    Args:
        cluster: Access to the namespace of the steps.
        data_root: Where datasets go; with the artifacts if empty.
        secret: That has the keys of the user's store.

    Returns:
        The checks, and the folder that datasets go to; empty if that is not known.
    """
    name = "store of Kubeflow Pipelines"
    try:
        read = cluster.core.read_namespaced_config_map
        found = cluster.request(read, "read", f"ConfigMap {LAUNCHER}", LAUNCHER, cluster.namespace)
        settings = found.data or {}
        root, detail = settings.get("defaultPipelineRoot") or DEFAULT_ROOT, _providers(settings)
        artifacts = Check(name, True, f"{root}{detail}: the launcher keeps small artifacts there, with its own keys")
    except NotFoundError:
        root = ""
        detail, fix = f"no ConfigMap {LAUNCHER} says where it is", "check that this namespace is a Kubeflow profile"
        artifacts = Check(name, False, detail, fix, required=False)
    except ForbiddenError:
        root = ""
        fix = "run doctor with credentials that may get ConfigMaps"
        artifacts = Check(name, False, f"these credentials may not read ConfigMap {LAUNCHER}", fix, required=False)
    except StepError as error:
        return [failed_check(name, error)], data_root
    if data_root:
        return [
            artifacts,
            Check("your own store", True, f"{data_root}: datasets, with the keys of {secret}"),
        ], data_root
    shared = Check(
        "your own store",
        False,
        f"no --data-root: datasets go to {root or 'the store of Kubeflow Pipelines'} too, with the keys of {secret}",
        NO_ROOT,
        required=False,
    )
    return [artifacts, shared], root


def _providers(settings: dict[str, str]) -> str:
    """The endpoint that the ConfigMap names; nothing where it leaves that to the launcher."""
    try:
        providers = yaml.safe_load(settings.get("providers", "")) or {}
        endpoints = [provider["default"]["endpoint"] for provider in providers.values()]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return ""
    return f" at {', '.join(endpoints)}" if endpoints else ""


def check_writing(folder: str) -> Check:
    """Whether a step can write to a folder, read it and list it; Delete is tried too, but not needed."""
    try:
        place = storage.resolve(folder)
        content = uuid.uuid4().hex.encode()
        probe = place / WRITE_PROBE
        probe.write_bytes(content)
        if probe.read_bytes() != content or probe.path not in {child.path for child in place.children()}:
            return Check(
                WRITING, False, f"{place.uri}: what was written is not there", "use a store that is consistent"
            )
    except PipelineError as error:
        return failed_check(WRITING, error)
    except OSError as error:
        fix = "check its name, and that the keys have the rights to Put, Get and List there"
        return Check(WRITING, False, f"{folder}: {' '.join(str(error).split()) or type(error).__name__}", fix)
    return Check(WRITING, True, f"{place.uri}: Put, Get and List work; {_deleted(probe)}")


def _deleted(probe: Location) -> str:
    try:
        probe.remove()
        if not probe.exists():  # s3fs passes over objects that the store refuses to delete
            return "Delete works too"
    except (PipelineError, OSError):
        pass
    return f"no Delete, which nothing needs ({WRITE_PROBE} stays)"

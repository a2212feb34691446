"""Checks of a namespace of a cluster."""

import base64
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

from kubernetes import client

from container_component_src.cluster.access import Cluster, ForbiddenError, NotFoundError
from container_component_src.cluster.kinds import (
    DASK_CLUSTER,
    EXPERIMENT,
    INFERENCE_SERVICE,
    PYTORCH_JOB,
    TRAIN_JOB,
    TRIAL,
    WORKFLOW,
    Kind,
)
from container_component_src.cluster.pods import reachable
from container_component_src.errors import InputError, StepError
from container_component_src.maintenance.checks import Check, check_registries, failed_check
from container_component_src.maintenance.input_checks import Inputs, check_inputs
from container_component_src.maintenance.pod_checks import check_pod
from container_component_src.maintenance.quota_checks import Demand, check_quotas
from container_component_src.maintenance.right_checks import check_rights
from container_component_src.maintenance.store_checks import NO_ROOT, WRITING, check_launcher
from container_component_src.maintenance.version_checks import check_versions
from container_component_src.s3_settings import CA_BUNDLE, S3_ENVIRONMENT, use_settings
from container_component_src.steps.shared import PodSettings

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
COLLECTOR_LABEL = "katib.kubeflow.org/metrics-collector-injection"
MESH_LABEL = "istio-injection"


def run_cluster_checks(
    cluster: Cluster, pods: PodSettings, inputs: Inputs, pull_image: bool, wanted: Sequence[Demand] = ()
) -> list[Check]:
    """Run all checks of a cluster, or only the first one if the API does not answer.

    Args:
        cluster: Access to the namespace of the steps.
        pods: Image, Secret and service account of the steps; without an image, pods are not checked.
        inputs: Inputs and outputs of the pipeline.
        pull_image: Whether to start a pod.
        wanted: Demands of the steps, which are compared with quotas.
    """
    api = check_api(cluster)
    if not api.ok:
        return [api]
    kinds = (DASK_CLUSTER, EXPERIMENT, TRIAL, INFERENCE_SERVICE)
    secret, values = check_secret(cluster, pods.s3_secret)
    stores, data_root = check_launcher(cluster, inputs.data_root, secret.name)
    shared = not inputs.data_root
    if values is not None:  # otherwise there are no keys to write with
        inputs = replace(inputs, data_root=data_root)
    data = check_store(inputs, values)
    if shared:  # the artifact store is written to
        data = [replace(check, fix=NO_ROOT) if check.name == WRITING else check for check in data]
    return [
        api,
        *(check_kind(cluster, kind) for kind in kinds),
        *check_trainings(cluster),
        replace(check_kind(cluster, WORKFLOW), required=False),  # steps can run without it
        *check_versions(cluster, api.detail.partition(" ")[0]),
        *check_namespace(cluster),
        *check_rights(cluster, pods.service_account),
        *check_quotas(cluster, wanted),
        secret,
        *stores,
        *data,
        *(check_registries([pods.image], pods.image_pull_policy) if pods.image else []),
        *(check_pod(cluster, pods, inputs, pull_image) if pods.image else []),
    ]


def check_api(cluster: Cluster) -> Check:
    """Check that the API server answers."""
    try:
        version = cluster.request(client.VersionApi(cluster.api_client).get_code, "ask for", "the version")
    except StepError as error:
        return failed_check("API server", error)
    return Check("API server", True, f"{version.git_version} at {cluster.api_client.configuration.host}")


def check_kind(cluster: Cluster, kind: Kind) -> Check:
    """Check that the API serves a kind in the version of the manifests; its operator is not checked."""
    name, fix = f"{kind.name} {kind.api_version}", f"install {kind.operator} in a version that docs/cluster.md lists"
    try:
        served = cluster.serves(kind)
    except StepError as error:
        return failed_check(name, error)
    return Check(name, served, "served" if served else "not served", fix)


def check_trainings(cluster: Cluster) -> list[Check]:
    """Check that the API serves one of the kinds of job that train; the other one is not needed, and not listed."""
    checks = [check_kind(cluster, kind) for kind in (PYTORCH_JOB, TRAIN_JOB)]
    return [check for check in checks if check.ok] or checks


def check_namespace(cluster: Cluster) -> list[Check]:
    """Check that the namespace exists and has the labels that operators require."""
    name = f"namespace {cluster.namespace}"
    try:
        found = cluster.request(cluster.core.read_namespace, "read", name, cluster.namespace)
    except ForbiddenError:
        fix = "run doctor with credentials that may get the namespace"
        return [Check(name, False, "these credentials may not read it and its labels", fix, required=False)]
    except NotFoundError:
        return [Check(name, False, "not found", f"kubectl create namespace {cluster.namespace}")]
    except StepError as error:
        return [failed_check(name, error)]
    if found.metadata.deletion_timestamp is not None:
        return [Check(name, False, "is being deleted", "wait until it is deleted, and create it again")]
    labels = found.metadata.labels or {}
    collector, mesh = labels.get(COLLECTOR_LABEL), labels.get(MESH_LABEL)
    return [
        Check(name, True, "found"),
        Check(
            "metrics of trials",
            collector == "enabled",
            f"label {COLLECTOR_LABEL}: {collector or 'none'}",
            f"kubectl label --overwrite namespace {cluster.namespace} {COLLECTOR_LABEL}=enabled",
        ),
        Check("mesh", True, f"label {MESH_LABEL}: {mesh or 'none'}; jobs run without its proxies anyway"),
    ]


def check_secret(cluster: Cluster, name: str) -> tuple[Check, dict[str, str] | None]:
    """Check that the Secret exists and has the required keys.

    Returns:
        The check, which never contains values, and the S3 settings in the Secret, or None if it cannot be read.
    """
    thing = f"Secret {name}"
    try:
        found = cluster.request(cluster.core.read_namespaced_secret, "read", thing, name, cluster.namespace)
    except ForbiddenError:
        fix = "run doctor with credentials that may get the Secret"
        return Check(thing, False, "these credentials may not read it", fix, required=False), None
    except NotFoundError:
        fix = "fill in and apply deploy/secret.example.yaml, or name another Secret with --s3-secret"
        return Check(thing, False, "not found", fix), None
    except StepError as error:
        return failed_check(thing, error), None
    data = found.data or {}
    values = {key: base64.b64decode(data[key]).decode(errors="replace") for key in S3_ENVIRONMENT if key in data}
    return _check_keys(thing, values), values


def _check_keys(thing: str, values: Mapping[str, str]) -> Check:
    if missing := [key for key in CREDENTIALS if not values.get(key)]:
        return Check(thing, False, f"no {', '.join(missing)}", "add it as in deploy/secret.example.yaml")
    if padded := [key for key, value in values.items() if key != CA_BUNDLE and value != value.strip()]:
        fix = "encode the value without the line break, or put it under stringData"
        return Check(thing, False, f"whitespace around {', '.join(padded)}", fix)
    if not values.get("S3_ENDPOINT"):
        fix = "add S3_ENDPOINT, unless your data is in Amazon S3"
        return Check(thing, False, "no S3_ENDPOINT: Amazon S3 is used", fix, required=False)
    return Check(thing, True, f"keys {', '.join(values)}")


def check_store(inputs: Inputs, values: Mapping[str, str] | None) -> list[Check]:
    """Check the inputs from this machine with the S3 settings of the pods.

    Args:
        inputs: Inputs of the pipeline.
        values: S3 settings in the Secret; None for those of this process.
    """
    try:
        for path in inputs.places:
            reachable(path)
        with nullcontext() if values is None else use_settings(values):
            checks = check_inputs(inputs)
    except InputError as error:
        return [failed_check("inputs", error)]
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return checks
    # This process runs outside the cluster, where the names of services cannot be resolved.
    fix = "run doctor with --pull-image, or in a pod, to check whether pods can reach it"
    return [
        replace(check, required=False, fix=fix) if check.name == "S3 endpoint" and not check.ok else check
        for check in checks
    ]

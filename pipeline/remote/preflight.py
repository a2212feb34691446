"""Checks of image, inputs and data root before a run is submitted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click
from google.protobuf import json_format

from container_component_src.cluster.access import CHECK_PATIENCE, connect
from container_component_src.cluster.pods import reachable
from container_component_src.errors import InputError
from container_component_src.maintenance.checks import Check
from container_component_src.maintenance.cluster_checks import check_secret, check_store
from container_component_src.maintenance.data_root_checks import check_data_root
from container_component_src.maintenance.input_checks import Inputs, check_inputs
from container_component_src.maintenance.pod_checks import POD_TIMEOUT, check_pull
from container_component_src.maintenance.right_checks import own_account
from container_component_src.s3_settings import use_settings
from container_component_src.steps.data import ReportColumns
from container_component_src.steps.shared import PodSettings
from pipeline.login.settings import has_s3_settings, s3_environment
from pipeline.remote.image_tag import ImageTag
from pipeline.remote.workspace import Workspace


def run_preflight(
    workspace: Workspace,
    root: Any,
    arguments: Mapping[str, object],
    image: ImageTag,
    values: Mapping[str, str],
    s3_secret: str,
    remote: bool,
) -> list[Check]:
    """Check the image, the inputs and the data root of a run; the platform was checked by opening the workspace.

    Args:
        workspace: Namespace of the run.
        root: kfp's ComponentSpec message of the pipeline.
        arguments: Typed arguments of the pipeline.
        image: Tag of the image.
        values: Environment variables, with the settings of the object storage.
        s3_secret: Name of the Secret with the steps' settings of the object storage.
        remote: Whether this process runs outside of the cluster and `values` must have settings of the object storage.

    Raises:
        InputError: Settings of the object storage are missing.
    """
    checks = [
        Check("platform", True, f"{workspace.host} answers and accepts the login"),
        Check("namespace", True, f"{workspace.namespace} ({workspace.namespace_source})"),
        _check_image(image),
    ]
    values_of_run = {**_defaults(root), **arguments}
    inputs, data_root = _inputs(values_of_run), values_of_run["data_root"]
    for path in filter(None, (*inputs.paths, data_root)):
        try:
            reachable(path)
        except InputError as error:
            fix = "give s3:// addresses under [paths] or with --param"
            return [*checks, Check("inputs", False, str(error), fix)]
    if remote:
        return checks + _check_with_own_keys(inputs, data_root, values, s3_secret, workspace.namespace)
    return checks + _check_in_pod(inputs, data_root, values, s3_secret, workspace)


def _check_in_pod(
    inputs: Inputs, data_root: str, values: Mapping[str, str], s3_secret: str, workspace: Workspace
) -> list[Check]:
    """Check inputs and data root with the keys of the steps if they can be read, otherwise with those of this pod."""
    secret, keys = _read_secret(s3_secret, workspace)
    if secret.failed:
        return [secret]
    if keys is not None:
        found = check_store(inputs, keys)
        with use_settings(keys):
            return [secret, *_with_data_root(found, data_root)]
    if not has_s3_settings(values):
        detail = "not checked, because this pod has no settings of the object storage"
        return [secret, Check("inputs", False, detail, required=False)]
    return [secret, *_check_with_own_keys(inputs, data_root, values, s3_secret, workspace.namespace)]


def _check_with_own_keys(
    inputs: Inputs, data_root: str, values: Mapping[str, str], s3_secret: str, namespace: str
) -> list[Check]:
    """Check inputs and data root with the keys of the environment, which may differ from those of the steps."""
    environment = s3_environment(values)
    detail = (
        f"{environment['AWS_ACCESS_KEY_ID']}, from the environment or .env; the steps use those of Secret {s3_secret} "
        f"in namespace {namespace}, which {_doctor(namespace)} checks"
    )
    with use_settings(environment):
        return [Check("S3 keys", True, detail), *_with_data_root(check_inputs(inputs), data_root)]


def _with_data_root(checks: list[Check], data_root: str) -> list[Check]:
    """Add a check of the data root, if there is one and its store answers."""
    store_answers = all(check.ok for check in checks if check.required)
    return [*checks, *(check_data_root(data_root) if data_root and store_answers else [])]


def _read_secret(name: str, workspace: Workspace) -> tuple[Check, dict[str, str] | None]:
    """Check the steps' Secret with the rights of this pod; the keys are None if they cannot be read."""
    if workspace.cluster is None:
        detail = "not checked, because this pod has no credentials of the cluster"
        return Check(f"Secret {name}", False, detail, required=False), None
    check, keys = check_secret(workspace.cluster, name)
    if check.ok:
        return replace(check, detail=f"{check.detail}; the inputs are checked with them"), keys
    fix = (
        "fill in and apply deploy/secret.example.yaml, or name another under [platform]; "
        f"{_doctor(workspace.namespace)} checks it"
    )
    detail = f"{check.detail}, in namespace {workspace.namespace}"
    return replace(check, detail=detail, fix=fix if check.failed else check.fix), keys


def _doctor(namespace: str) -> str:
    return f"`main.py doctor --backend kubernetes --namespace {namespace}`"


def _check_image(image: ImageTag) -> Check:
    """Check that the tag was chosen: a default such as `latest` does not identify the version that a run used."""
    fix = "name a version with --image-tag or IMAGE_TAG"
    return Check("image", image.chosen, f"tag {image.tag}, from {image.source}", fix, required=False)


def check_pullable(pods: PodSettings) -> Check:
    """Check that the cluster can pull the image, because without it a run and its exit task hang.

    The check creates a pod. It needs access to the Kubernetes API, as in a notebook or with a kubeconfig.

    Args:
        pods: Image, pull secret, labels and annotations of the pod, and the namespace of the run.
    """
    reference = pods.image
    try:
        cluster = connect(pods.namespace, patience=CHECK_PATIENCE)
        account = own_account(cluster)
    except InputError:
        detail = f"not checked whether the cluster can pull {reference}, because the Kubernetes API is not accessible"
        fix = "set KUBECONFIG, or check that the image was pushed"
        return Check("image pull", False, detail, fix, required=False)
    click.echo(f"pulling {reference} on the cluster, which may take {POD_TIMEOUT // 60} minutes", err=True)
    check = check_pull(cluster, pods.model_copy(update={"service_account": account}))
    return replace(check, name="image pull")


def _defaults(root: Any) -> dict[str, Any]:
    parameters = root.input_definitions.parameters
    return {name: json_format.MessageToDict(spec.default_value) for name, spec in parameters.items()}


def _inputs(arguments: Mapping[str, Any]) -> Inputs:
    return Inputs(
        arguments["archives_path"],
        arguments["reports_path"],
        arguments["timestamp_col"],
        ReportColumns.model_validate_json(arguments["report_columns"]),
        exclude_channels=arguments["exclude_channels"],
        feedback_path=arguments["feedback_path"],
    )

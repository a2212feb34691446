"""Manifest of a deployment: the InferenceService of a model."""

import hashlib
import json
import sys
from types import ModuleType
from typing import Any

from kubernetes import client
from kubernetes.utils.quantity import parse_quantity

from container_component_src.cluster.access import Manifest, to_manifest
from container_component_src.cluster.inference_services import (
    MODE_ANNOTATION,
    PENDING,
    PREVIOUS_ANNOTATION,
    RUN_ANNOTATION,
    TEST_ANNOTATION,
)
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.owned_objects import DIGEST_ANNOTATION
from container_component_src.cluster.pods import (
    SIDECAR_OFF,
    check,
    container,
    reachable,
    resources,
    s3_environment,
    site_fields,
)
from container_component_src.cluster.step import MANAGED_BY, Step
from container_component_src.errors import InputError
from container_component_src.serving.deployment.service import SERVER_ENVIRONMENT, Service
from container_component_src.serving.protocol.process import GRACE_PERIOD
from container_component_src.steps.serving import HTTP_PORT, KNATIVE, LONGEST_LABEL, same_mode
from container_component_src.steps.shared import PodSettings
from container_component_src.values import PROGRAM

CONTAINER = "kserve-container"  # name by which KServe finds the container of a custom component
PREDICTOR, TRANSFORMER = "predictor", "transformer"
TAGS_ANNOTATION = "serving.kserve.io/enable-tag-routing"  # gives the newest revision an address of its own
LATEST_TAG = "latest-"
MODEL_ANNOTATION = "columbus-eclss-ad/model-version"
_OWN_ANNOTATIONS = {MODE_ANNOTATION, TAGS_ANNOTATION, DIGEST_ANNOTATION, RUN_ANNOTATION, PREVIOUS_ANNOTATION}
STORAGE_VARIABLE = "STORAGE_URI"  # a custom component has no field for it
_MODEL_FOLDER = "/mnt/models"  # folder for which KServe's storage initializer downloads STORAGE_URI
_ROUTES_PAUSE = 5  # seconds until no node sends requests to a pod that is ending
_KSERVE_CPU_LIMIT = 1  # CPUs that KServe sets as the limit of a container without one, by default
_LOG_FOLDER = "payloads"  # below NAMESPACE/SERVICE/COMPONENT; KServe writes nothing without one
_MARGIN = 5  # seconds for the server to exit after its last answer


def manifest(step: Step, pods: PodSettings, service: Service) -> Manifest:
    """Return the InferenceService of a service.

    It has no owner, because it outlives the run. Only one annotation depends on the run, and the digest leaves it out:
    the same model deployed again with the same options has the same digest. Another annotation marks the service as
    untested.

    By default the servers read the bundle from S3 with the Secret that all pods of the project have. That needs no
    annotated service account, and no storage initializer that trusts the certificate of the store.

    Raises:
        InputError: An option that a cluster needs is missing, the name is too long for the namespace, or pods cannot
            reach the bundle.
    """
    _check_options(pods, service)
    annotations: dict[str, str] = {MODE_ANNOTATION: service.hosting.deployment_mode}
    if service.hosting.canary_traffic_percent is not None:
        annotations[TAGS_ANNOTATION] = "true"
    built = to_manifest(
        load_kserve().V1beta1InferenceService(
            api_version=INFERENCE_SERVICE.api_version,
            kind=INFERENCE_SERVICE.name,
            metadata=client.V1ObjectMeta(
                name=service.name, namespace=pods.namespace, labels=MANAGED_BY, annotations=annotations
            ),
            spec=_spec(pods, service),
        )
    )
    return _signed(built, step)


def merged(found: Manifest, desired: Manifest) -> Manifest:
    """Return what replaces an InferenceService: the desired spec, and metadata that includes what others have set."""
    metadata = found["metadata"]
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in _OWN_ANNOTATIONS}
    # Whether the service has ever passed a test does not change.
    new = {
        key: value for key, value in (desired["metadata"].get("annotations") or {}).items() if key != TEST_ANNOTATION
    }
    annotations = {**kept, **new}
    if found.get("status", {}).get("deploymentMode"):  # KServe 0.16 refuses the other name of the same mode
        annotations[MODE_ANNOTATION] = str(found["status"]["deploymentMode"])
    foreign = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in MANAGED_BY}
    labels = {**foreign, **(desired["metadata"].get("labels") or {})}
    named = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": INFERENCE_SERVICE.name,
        "metadata": {**named, "labels": labels, "annotations": annotations},
        "spec": desired["spec"],
    }


def components(manifest: Manifest) -> list[str]:
    """Return which of predictor and transformer a service has."""
    return [component for component in (PREDICTOR, TRANSFORMER) if component in manifest["spec"]]


def digest_of(manifest: Manifest) -> str | None:
    """Return the digest in an InferenceService or a pod of it; None if this project did not create it."""
    digest: str | None = (manifest["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION)
    return digest


def _signed(built: Manifest, step: Step) -> Manifest:
    """Add the digest to a manifest and to its pods, so that pods of another spec can be told apart."""
    annotations = built["metadata"]["annotations"]
    signed = {
        "spec": built["spec"],
        "annotations": {**annotations, MODE_ANNOTATION: same_mode(annotations[MODE_ANNOTATION])},
    }
    digest = hashlib.sha256(json.dumps(signed, sort_keys=True).encode()).hexdigest()
    annotations |= {DIGEST_ANNOTATION: digest, RUN_ANNOTATION: step.run_id, TEST_ANNOTATION: PENDING}
    for component in components(built):
        built["spec"][component]["annotations"][DIGEST_ANNOTATION] = digest
    return built


def _spec(pods: PodSettings, service: Service) -> Any:
    """Return the spec (`V1beta1InferenceServiceSpec`); a combined service has no transformer."""
    kserve, hosting = load_kserve(), service.hosting
    predictor = kserve.V1beta1PredictorSpec(
        **_component(pods, service, service.predictor_command(_model_dir(service)), pods.gpus),
        canary_traffic_percent=hosting.canary_traffic_percent,
        logger=_logger(pods, service) if hosting.payload_logger == "kserve" else None,
    )
    transformer = None
    if not hosting.combined:
        transformer = kserve.V1beta1TransformerSpec(
            **_component(pods, service, service.transformer_command(_model_dir(service)), gpus=0)
        )
    return kserve.V1beta1InferenceServiceSpec(predictor=predictor, transformer=transformer)


def _logger(pods: PodSettings, service: Service) -> Any:
    """Return what KServe logs (`V1beta1LoggerSpec`): the bodies of requests and answers, and no headers."""
    models = load_kserve().models
    return models.V1beta1LoggerSpec(
        mode="all",
        url=reachable(service.hosting.payload_log),
        storage=models.V1beta1LoggerStorageSpec(
            path=_LOG_FOLDER,
            parameters={"type": "s3", "format": "parquet"},
            service_account_name=pods.service_account,
        ),
    )


def check_kept(desired: Manifest, stored: Manifest) -> None:
    """Check that the API server has stored the logger, because it leaves out what its KServe does not know.

    Raises:
        InputError: It has not.
    """
    wanted, found = (part["spec"][PREDICTOR].get("logger") or {} for part in (desired, stored))
    if wanted.get("storage") and not found.get("storage"):
        raise InputError(
            "the KServe of this cluster cannot write a payload log to S3, which takes 0.18 or later",
            fix="give --payload-logger server",
        )


def _component(pods: PodSettings, service: Service, command: list[str], gpus: int) -> dict[str, Any]:
    """Return the fields that predictor and transformer have in common."""
    ready = client.V1HTTPGetAction(path=f"/v1/models/{service.name}", port=HTTP_PORT)
    serving = container(
        CONTAINER,
        pods,
        [*PROGRAM, *command],
        run_id="",
        ports=[client.V1ContainerPort(container_port=HTTP_PORT, protocol="TCP")],
        readiness_probe=client.V1Probe(http_get=ready, period_seconds=5, timeout_seconds=5),
        resources=_resources(pods.model_copy(update={"gpus": gpus})),
        lifecycle=None if _on_knative(service) else _LIFECYCLE,
    )
    serving.env = _environment(pods, service)
    sidecar = {} if service.hosting.istio_sidecar else SIDECAR_OFF
    return {
        "containers": [serving],
        "min_replicas": service.hosting.min_replicas,
        "max_replicas": service.hosting.max_replicas,
        "service_account_name": pods.service_account or None,
        "automount_service_account_token": False,  # servers do not use the Kubernetes API
        # Knative refuses such fields, and waits for requests in progress itself.
        "termination_grace_period_seconds": None if _on_knative(service) else _ROUTES_PAUSE + GRACE_PERIOD + _MARGIN,
        # A bundle may be rewritten at the same address: then its new version starts new pods.
        "annotations": {
            **pods.pod_annotations,
            **sidecar,
            **_pinned(service),
            MODEL_ANNOTATION: service.model_version,
        },
        "labels": {**pods.pod_labels, **sidecar} or None,
        **site_fields(pods),
    }


# A pod still gets requests for a moment after it was told to end. `sleep` is a program of the image; the action of that
# name needs Kubernetes 1.30.
_LIFECYCLE = client.V1Lifecycle(
    pre_stop=client.V1LifecycleHandler(_exec=client.V1ExecAction(command=["sleep", str(_ROUTES_PAUSE)]))
)


def _pinned(service: Service) -> dict[str, str]:
    """Return annotations of predictor and transformer that stay the same when those of the service change.

    KServe copies the annotations of the service to the pods, and a change of them starts new pods, unless predictor and
    transformer have their own.
    """
    return {
        MODE_ANNOTATION: same_mode(service.hosting.deployment_mode),
        TEST_ANNOTATION: "see the InferenceService",
    }


def _on_knative(service: Service) -> bool:
    return same_mode(service.hosting.deployment_mode) == KNATIVE


def _resources(pods: PodSettings) -> client.V1ResourceRequirements:
    """Return the resources of all pods, with a CPU limit if KServe's own would be below the request.

    KServe gives a container without a CPU limit the one of its configuration, even if that is below the request.
    Kubernetes then refuses the pods.
    """
    requirements = resources(pods)
    if parse_quantity(pods.cpu) > _KSERVE_CPU_LIMIT:
        requirements.limits = {"cpu": pods.cpu, **requirements.limits}
    return requirements


def _environment(pods: PodSettings, service: Service) -> list[client.V1EnvVar]:
    """Return the environment of a server. It has no run id, which would start new pods for each run."""
    if service.hosting.model_storage == "service-account":
        model = [client.V1EnvVar(name=STORAGE_VARIABLE, value=reachable(service.bundle_uri))]
    else:
        model = s3_environment(pods)
    return [*(client.V1EnvVar(name=name, value=value) for name, value in SERVER_ENVIRONMENT.items()), *model]


def _model_dir(service: Service) -> str:
    return _MODEL_FOLDER if service.hosting.model_storage == "service-account" else reachable(service.bundle_uri)


def _check_options(pods: PodSettings, service: Service) -> None:
    check(pods, f"the InferenceService {service.name}")
    if service.hosting.model_storage == "service-account" and not pods.service_account:
        raise InputError(
            "--model-storage service-account needs --service-account",
            fix="give an account whose Secret opens the bucket",
        )
    if service.hosting.payload_log:
        reachable(service.hosting.payload_log)
    if service.hosting.payload_logger == "kserve" and not pods.service_account:
        raise InputError(
            "--payload-logger kserve needs --service-account",
            fix="give an account whose Secret opens the bucket, or --payload-logger server",
        )
    # Host names have service, component and namespace in one label.
    room = LONGEST_LABEL - len(f"-{TRANSFORMER}-{pods.namespace}")
    longest = min(INFERENCE_SERVICE.max_name, room)
    if len(service.name) > longest:
        raise InputError(
            f"service name '{service.name}': in namespace {pods.namespace} it may have {max(longest, 0)} characters",
            fix="shorten --service-name",
        )


def load_kserve() -> ModuleType:
    """Import the SDK of KServe. It imports its model server, which parses `sys.argv`: that is emptied meanwhile."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        import kserve  # noqa: PLC0415 - slow, and see above
    finally:
        sys.argv = arguments
    module: ModuleType = kserve
    return module

"""The InferenceService of a model: what is asked of KServe, apart from how it is brought about."""

import hashlib
import json
import sys
from types import ModuleType
from typing import Any

from kubernetes import client
from kubernetes.utils.quantity import parse_quantity

from container_component_src import storage
from container_component_src.cluster.access import Manifest, to_manifest
from container_component_src.cluster.inference_services import (
    MODE_ANNOTATION,
    PENDING,
    RUN_ANNOTATION,
    TEST_ANNOTATION,
)
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.owned_objects import DIGEST_ANNOTATION
from container_component_src.cluster.pods import SIDECAR_OFF, container, resources, s3_environment
from container_component_src.cluster.step import MANAGED_BY, Step
from container_component_src.errors import InputError
from container_component_src.serving.deployment.service import SERVER_ENVIRONMENT, Service
from container_component_src.serving.protocol.process import GRACE_PERIOD
from container_component_src.steps.serving import HTTP_PORT, KNATIVE, LONGEST_LABEL, same_mode
from container_component_src.steps.shared import PodSettings

CONTAINER = "kserve-container"  # KServe knows the container of a custom part by this name
PREDICTOR, TRANSFORMER = "predictor", "transformer"
TAGS_ANNOTATION = "serving.kserve.io/enable-tag-routing"  # an address of its own for the newest revision
LATEST_TAG = "latest-"
MODEL_ANNOTATION = "columbus-eclss-ad/model-version"
_OWN_ANNOTATIONS = {MODE_ANNOTATION, TAGS_ANNOTATION, DIGEST_ANNOTATION, RUN_ANNOTATION}
_STORAGE_VARIABLE = "STORAGE_URI"  # where a custom part has no field for it
_MODEL_FOLDER = "/mnt/models"  # where KServe's storage initializer puts what STORAGE_URI names
_ROUTES_PAUSE = 5  # seconds until no node sends requests to a pod that is on its way out
_KSERVE_CPU_LIMIT = 1  # CPUs of a container that has no limit, unless the cluster is configured otherwise
_MARGIN = 5  # seconds for the server to end once it has answered its last request
_PROGRAM = ["python", "container_component_src/main.py"]


def manifest(step: Step, pods: PodSettings, service: Service) -> Manifest:
    """The InferenceService of a service.

    It has no owner, because it outlives the run. Nothing in it but one annotation, which the digest leaves out, depends
    on the run: the same model deployed again with the same options makes the same digest. Another annotation marks it
    as untested.

    By default the servers read the bundle from S3 with the Secret that all pods of the project have: that needs no
    annotated service account, and no storage initializer that trusts the certificate of the store.

    Raises:
        InputError: An option that a cluster needs is missing, the name is too long for the namespace, or pods cannot
            reach the bundle.
    """
    _check(pods, service)
    kserve = load_kserve()
    hosting = service.hosting
    predictor = kserve.V1beta1PredictorSpec(
        **_part(pods, service, service.predictor_command(_model_dir(service)), pods.gpus),
        canary_traffic_percent=hosting.canary_traffic_percent,
    )
    transformer = None
    if not hosting.combined:
        transformer = kserve.V1beta1TransformerSpec(
            **_part(pods, service, service.transformer_command(_model_dir(service)), gpus=0)
        )
    annotations: dict[str, str] = {MODE_ANNOTATION: hosting.deployment_mode}
    if hosting.canary_traffic_percent is not None:
        annotations[TAGS_ANNOTATION] = "true"
    built = to_manifest(
        kserve.V1beta1InferenceService(
            api_version=INFERENCE_SERVICE.api_version,
            kind=INFERENCE_SERVICE.name,
            metadata=client.V1ObjectMeta(
                name=service.name, namespace=pods.namespace, labels=MANAGED_BY, annotations=annotations
            ),
            spec=kserve.V1beta1InferenceServiceSpec(predictor=predictor, transformer=transformer),
        )
    )
    return _signed(built, step)


def merged(found: Manifest, wanted: Manifest) -> Manifest:
    """What replaces an InferenceService: its spec as wanted, and of its metadata what others put there too."""
    metadata = found["metadata"]
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in _OWN_ANNOTATIONS}
    # Whether the service has ever passed a test is as it was.
    new = {key: value for key, value in (wanted["metadata"].get("annotations") or {}).items() if key != TEST_ANNOTATION}
    annotations = {**kept, **new}
    if found.get("status", {}).get("deploymentMode"):  # KServe 0.16 refuses the other name of the same mode
        annotations[MODE_ANNOTATION] = str(found["status"]["deploymentMode"])
    foreign = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in MANAGED_BY}
    labels = {**foreign, **(wanted["metadata"].get("labels") or {})}
    named = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": INFERENCE_SERVICE.name,
        "metadata": {**named, "labels": labels, "annotations": annotations},
        "spec": wanted["spec"],
    }


def parts(manifest: Manifest) -> list[str]:
    """Which of predictor and transformer a service has."""
    return [part for part in (PREDICTOR, TRANSFORMER) if part in manifest["spec"]]


def digest_of(manifest: Manifest) -> str | None:
    """The digest that `manifest` gave to an InferenceService or a pod of it; None for those of others."""
    digest: str | None = (manifest["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION)
    return digest


def _signed(built: Manifest, step: Step) -> Manifest:
    """The manifest with its digest, at the pods too, so that pods of another spec can be told from those of this."""
    annotations = built["metadata"]["annotations"]
    signed = {
        "spec": built["spec"],
        "annotations": {**annotations, MODE_ANNOTATION: same_mode(annotations[MODE_ANNOTATION])},
    }
    digest = hashlib.sha256(json.dumps(signed, sort_keys=True).encode()).hexdigest()
    annotations |= {DIGEST_ANNOTATION: digest, RUN_ANNOTATION: step.run_id, TEST_ANNOTATION: PENDING}
    for part in parts(built):
        built["spec"][part]["annotations"][DIGEST_ANNOTATION] = digest
    return built


def _part(pods: PodSettings, service: Service, command: list[str], gpus: int) -> dict[str, Any]:
    """What predictor and transformer have in common."""
    ready = client.V1HTTPGetAction(path=f"/v1/models/{service.name}", port=HTTP_PORT)
    serving = container(
        CONTAINER,
        pods,
        _PROGRAM + command,
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
        "automount_service_account_token": False,  # servers do not ask the API of Kubernetes
        # Knative takes no such fields, and waits for the requests in flight itself.
        "termination_grace_period_seconds": None if _on_knative(service) else _ROUTES_PAUSE + GRACE_PERIOD + _MARGIN,
        # A bundle may be written anew under the same address: its version makes new pods then.
        "annotations": {**sidecar, **_pinned(service), MODEL_ANNOTATION: service.model_version},
        "labels": dict(sidecar) or None,
    }


# A pod gets requests for a moment after it was told to end. `sleep` is in the image; the action of that name would need
# Kubernetes 1.30.
_LIFECYCLE = client.V1Lifecycle(
    pre_stop=client.V1LifecycleHandler(_exec=client.V1ExecAction(command=["sleep", str(_ROUTES_PAUSE)]))
)


def _pinned(service: Service) -> dict[str, str]:
    """Annotations of predictor and transformer that do not change with those of the service.

    KServe copies the annotations of the service to the pods, and a change of them starts new pods; except where
    predictor and transformer have their own.
    """
    return {
        MODE_ANNOTATION: same_mode(service.hosting.deployment_mode),
        TEST_ANNOTATION: "see the InferenceService",
    }


def _on_knative(service: Service) -> bool:
    return same_mode(service.hosting.deployment_mode) == KNATIVE


def _resources(pods: PodSettings) -> client.V1ResourceRequirements:
    """As of all pods, with a limit of CPUs where that of KServe would be below the request.

    KServe gives a container without one the limit of its configuration, one CPU, also where that is below the request;
    Kubernetes refuses the pods then.
    """
    requirements = resources(pods)
    if parse_quantity(pods.cpu) > _KSERVE_CPU_LIMIT:
        requirements.limits = {"cpu": pods.cpu, **requirements.limits}
    return requirements


def _environment(pods: PodSettings, service: Service) -> list[client.V1EnvVar]:
    """Without the run id, which would make the pods of each run other ones."""
    if service.hosting.model_storage == "service-account":
        model = [client.V1EnvVar(name=_STORAGE_VARIABLE, value=_bundle(service).uri)]
    else:
        model = s3_environment(pods)
    return [*(client.V1EnvVar(name=name, value=value) for name, value in SERVER_ENVIRONMENT.items()), *model]


def _model_dir(service: Service) -> str:
    return _MODEL_FOLDER if service.hosting.model_storage == "service-account" else _bundle(service).uri


def _bundle(service: Service) -> storage.Location:
    location = storage.resolve(service.bundle_uri)
    if location.is_local:
        raise InputError(f"{service.bundle_uri}: pods cannot read this machine's files; give an s3:// address")
    return location


def _check(pods: PodSettings, service: Service) -> None:
    for option in ("namespace", "image"):
        if not getattr(pods, option):
            raise InputError(f"the InferenceService {service.name} needs --{option}")
    if service.hosting.model_storage == "service-account" and not pods.service_account:
        raise InputError("--model-storage service-account needs --service-account, whose Secret opens the bucket")
    # Host names hold service, part and namespace in one label.
    room = LONGEST_LABEL - len(f"-{TRANSFORMER}-{pods.namespace}")
    longest = min(INFERENCE_SERVICE.max_name, room)
    if len(service.name) > longest:
        raise InputError(
            f"service name '{service.name}': in namespace {pods.namespace} it may have {max(longest, 0)} characters"
        )


def load_kserve() -> ModuleType:
    """The SDK, whose model server, which comes along, parses `sys.argv` when it is imported: it gets an empty one."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        import kserve  # noqa: PLC0415 - slow, and see above
    finally:
        sys.argv = arguments
    module: ModuleType = kserve
    return module

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.backends.kubernetes.serving_manifest import check_kept, digest_of, manifest
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError
from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.serving.protocol.process import GRACE_PERIOD
from container_component_src.steps.serving import KNATIVE, Hosting, same_mode
from container_component_src.steps.shared import PodSettings
from tests.backends.kubernetes.golden import SITE
from tests.cluster.schemas import problems

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
PODS = PodSettings(namespace="telemetry", image="registry.example.org/eclss:1.0")
STEP = Step("5a0c0b5e-0000-4000-8000-000000000001", "step-pod", "00000000-0000-4000-8000-0000000000aa")
SERVICE = Service("eclss", "minio://models/bundle", SmokeRequest(({"a": 1.0},), (1.0,)), "model-1")
CANARY = Hosting(deployment_mode="Knative", min_replicas=0, max_replicas=2, canary_traffic_percent=10, combined=True)
LOGGED = Hosting(combined=True, payload_log="s3://logs/eclss", payload_logger="kserve")
READER = {"service_account": "models-reader"}
VARIANTS: dict[str, tuple[dict[str, Any], Hosting]] = {
    "standard": ({"gpus": 1}, Hosting(max_replicas=3)),
    "knative_canary": ({}, CANARY),
    "kserve_logger": (READER, LOGGED),
    "site": (SITE, Hosting()),
    "service_account": (
        READER,
        Hosting(model_storage="service-account", deployment_mode="RawDeployment", istio_sidecar=True),
    ),
}


def built(pods: dict[str, Any] | None = None, step: Step = STEP, **changes: Any) -> dict[str, Any]:
    return manifest(step, PODS.model_copy(update=pods or {}), replace(SERVICE, **changes))


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_equal_the_golden_files(variant: str) -> None:
    pods, hosting = VARIANTS[variant]
    golden = yaml.safe_load((GOLDEN / f"inferenceservice_{variant}.yaml").read_text())
    assert built(pods, hosting=hosting) == golden


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_match_the_schemas_of_the_api(variant: str) -> None:
    pods, hosting = VARIANTS[variant]
    assert problems(built(pods, hosting=hosting)) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_follow_the_rules_of_kserves_webhook(variant: str) -> None:
    """One implementation of each part, its container known by name, whole numbers of replicas in order."""
    pods, hosting = VARIANTS[variant]
    made = built(pods, hosting=hosting)
    knative = made["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
    assert set(made["spec"]) == ({"predictor"} if hosting.combined else {"predictor", "transformer"})
    for part in made["spec"].values():
        assert not {"model", "pytorch", "sklearn", "xgboost", "triton", "workerSpec"} & set(part)
        (container,) = part["containers"]
        assert container["name"] == "kserve-container"
        assert len(container["ports"]) == 1  # Knative allows one
        assert 0 <= part["minReplicas"] <= part["maxReplicas"]
        assert knative or (part["minReplicas"] > 0 and "canaryTrafficPercent" not in part)


@pytest.mark.parametrize(
    ("cpu", "limits"),
    [("500m", {"memory": "2Gi"}), ("1", {"memory": "2Gi"}), ("1500m", {"cpu": "1500m", "memory": "2Gi"})],
)
def test_a_request_of_more_than_one_cpu_is_also_the_limit(cpu: str, limits: dict[str, str]) -> None:
    """KServe limits a container to one CPU that says nothing else, and Kubernetes refuses a request above the limit."""
    for part in built({"cpu": cpu})["spec"].values():
        assert part["containers"][0]["resources"] == {"requests": {"cpu": cpu, "memory": "2Gi"}, "limits": limits}


@pytest.mark.parametrize("mode", ["Standard", "RawDeployment", "Knative", "Serverless"])
def test_pods_have_a_grace_period_and_no_token(
    mode: Literal["Standard", "RawDeployment", "Knative", "Serverless"],
) -> None:
    for part in built(hosting=Hosting(deployment_mode=mode))["spec"].values():
        assert part["automountServiceAccountToken"] is False
        lifecycle, grace = part["containers"][0].get("lifecycle"), part.get("terminationGracePeriodSeconds")
        if same_mode(mode) == KNATIVE:  # which refuses both
            assert lifecycle is grace is None
        else:
            pause = int(lifecycle["preStop"]["exec"]["command"][1])
            assert grace > pause + GRACE_PERIOD


def test_a_change_of_the_services_own_annotations_starts_no_new_pods() -> None:
    """KServe copies them to the pods, where those of a part come first."""
    made = built()
    changing = {"serving.kserve.io/deploymentMode", "columbus-eclss-ad/smoke-test"}
    assert changing <= made["metadata"]["annotations"].keys()
    for part in made["spec"].values():
        assert changing <= part["annotations"].keys()


def test_both_containers_get_the_model_name_as_an_option() -> None:
    made = built()
    for part, command in (("predictor", "serve_predictor"), ("transformer", "serve_transformer")):
        (container,) = made["spec"][part]["containers"]
        assert container["command"][:3] == ["python", "container_component_src/main.py", command]
        assert container["command"][5:7] == ["--model-name", "eclss"]
        assert "args" not in container  # KServe appends its own


def test_a_service_outlives_its_run_and_does_not_depend_on_it() -> None:
    other = built(step=Step("another-run", "other-pod", "other-uid"))
    made = built()
    assert "ownerReferences" not in made["metadata"]
    assert "pipeline/runid" not in made["metadata"]["labels"]  # `cleanup` deletes what has it
    assert other["spec"] == made["spec"]
    assert digest_of(other) == digest_of(made)


@pytest.mark.parametrize(
    "change",
    [
        {"model_version": "model-2"},
        {"bundle_uri": "s3://models/other"},
        {"pods": {"image": "registry.example.org/eclss:1.1"}},
        {"pods": {"memory": "3Gi"}},
        {"hosting": Hosting(combined=True)},
        {"hosting": Hosting(max_replicas=2)},
        {"hosting": Hosting(deployment_mode="Knative")},
    ],
)
def test_the_digest_changes_with_the_service(change: dict[str, Any]) -> None:
    assert digest_of(built(**change)) != digest_of(built())


def test_both_names_of_a_mode_have_the_same_digest() -> None:
    assert digest_of(built(hosting=Hosting(deployment_mode="RawDeployment"))) == digest_of(built())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pods": {"namespace": ""}}, "needs --namespace"),
        ({"pods": {"image": ""}}, "needs --image"),
        ({"bundle_uri": "/tmp/bundle"}, "/tmp/bundle: pods cannot reach"),
        ({"hosting": LOGGED}, "--payload-logger kserve needs --service-account"),
        ({"hosting": Hosting(payload_log="/tmp/log")}, "/tmp/log: pods cannot reach"),
        ({"hosting": Hosting(model_storage="service-account")}, "needs --service-account"),
    ],
)
def test_options_that_a_cluster_cannot_use_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        built(**change)


@given(name=st.integers(1, 51), namespace=st.integers(1, 63))
def test_host_names_are_never_too_long(name: int, namespace: int) -> None:
    fits = name <= 40 and len("-transformer-") + name + namespace <= 63
    try:
        made = built({"namespace": "n" * namespace}, name="s" * name)
    except InputError as error:
        assert not fits
        assert "characters" in str(error)
    else:
        assert fits
        assert made["metadata"]["name"] == "s" * name


def test_the_sdk_leaves_the_command_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name in {"kserve.model_server", "kserve"}]:
        monkeypatch.delitem(sys.modules, module)
    arguments = ["main.py", "--http_port", "no number"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert built()["metadata"]["name"] == "eclss"
    assert sys.argv is arguments


def test_a_cluster_that_does_not_know_the_logger_is_told_apart() -> None:
    made = built(READER, hosting=LOGGED)
    check_kept(made, made)
    check_kept(built(), built())
    for pruned in ({}, {"mode": "all", "url": "s3://logs/eclss"}):
        stored = {"spec": {"predictor": {**made["spec"]["predictor"], "logger": pruned}}}
        with pytest.raises(InputError, match="cannot write a payload log to S3"):
            check_kept(made, stored)

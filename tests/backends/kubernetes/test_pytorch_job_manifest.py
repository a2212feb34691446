"""The PyTorchJob: whole manifests, and the rules that the operator's webhook has beyond the schema."""

import re
from typing import Any

import pytest

from container_component_src.backends.kubernetes.pytorch_job_manifest import manifest
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError
from container_component_src.steps.training import TrainingArguments, TrainingJob
from container_component_src.values import validated
from tests.backends.kubernetes.golden import PLACED, PODS, STEP, golden
from tests.cluster.schemas import pod_problems, problems

VARIANTS: dict[str, tuple[dict[str, Any], int]] = {
    "one_node": ({}, 1),
    "three_nodes": ({"service_account": "trainer"}, 3),
    "gpu": ({"gpus": 1, "cpu": "4", "memory": "16Gi", "shared_memory": "4Gi", "gpu_resource": "amd.com/gpu"}, 2),
    "site": (PLACED, 1),
}


def job(nodes: int = 1, **changes: Any) -> TrainingJob:
    paths = {"train_df_path": "minio://data/train", "val_df_path": "s3://data/val", "model_output_file": "s3://data/m"}
    arguments = validated(TrainingArguments, {**paths, "num_gpu_nodes": nodes, **changes})
    return TrainingJob(arguments=arguments, timeout=3600.0)


def built(variant: str = "one_node", step: Step = STEP) -> dict[str, Any]:
    pods, nodes = VARIANTS[variant]
    return manifest(step, PODS.model_copy(update=pods), job(nodes))


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_equal_the_golden_files(variant: str) -> None:
    assert built(variant) == golden(f"pytorchjob_{variant}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_match_the_schemas_of_the_api(variant: str) -> None:
    made = built(variant)
    assert problems(made) == []
    for replicas in made["spec"]["pytorchReplicaSpecs"].values():
        assert pod_problems(replicas["template"]["spec"]) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_follow_the_rules_of_the_operators_webhook(variant: str) -> None:
    made = built(variant)
    replicas = made["spec"]["pytorchReplicaSpecs"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made["metadata"]["name"])
    assert len(made["metadata"]["name"] + "-worker-9999") <= 63
    assert set(replicas) <= {"Master", "Worker"}
    assert replicas["Master"]["replicas"] == 1
    for part in replicas.values():
        assert part["replicas"] >= 1
        assert [container["name"] for container in part["template"]["spec"]["containers"]] == ["pytorch"]
        assert part["template"]["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert sum(part["replicas"] for part in replicas.values()) == VARIANTS[variant][1]


@pytest.mark.parametrize(("nodes", "distributed"), [(1, "false"), (2, "true")])
def test_one_node_needs_no_rendezvous(nodes: int, distributed: str) -> None:
    (container,) = manifest(STEP, PODS, job(nodes))["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"][
        "containers"
    ]
    command = container["command"]
    assert command[command.index("--run-as-pytorchjob") + 1] == distributed
    assert command[command.index("--train-df-path") + 1] == "s3://data/train"


def test_runs_do_not_collide() -> None:
    assert built()["metadata"]["name"] != built(step=Step("another-run"))["metadata"]["name"]


def test_options_that_pods_cannot_use_are_refused() -> None:
    with pytest.raises(InputError, match="a PyTorchJob needs --image"):
        manifest(STEP, PODS.model_copy(update={"image": ""}), job())
    with pytest.raises(InputError, match="local_data/model: pods cannot reach this machine's files"):
        manifest(STEP, PODS, job(model_output_file="local_data/model"))

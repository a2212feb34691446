"""The TrainJob and its TrainingRuntime: whole manifests, and the rules of Trainer's webhooks beyond the schema."""

from typing import Any

import pytest

from container_component_src.backends.kubernetes.train_job_manifest import manifest, runtime
from container_component_src.errors import InputError
from tests.backends.kubernetes.golden import PODS, STEP, golden
from tests.backends.kubernetes.test_pytorch_job_manifest import VARIANTS, job
from tests.cluster.schemas import pod_problems, problems


def built(variant: str) -> list[dict[str, Any]]:
    """The runtime and the job."""
    pods, nodes = VARIANTS[variant]
    return [make(STEP, PODS.model_copy(update=pods), job(nodes)) for make in (runtime, manifest)]


def pod_template(described: dict[str, Any]) -> dict[str, Any]:
    (group,) = described["spec"]["template"]["spec"]["replicatedJobs"]
    template: dict[str, Any] = group["template"]["spec"]["template"]
    return template


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_equal_the_golden_files(variant: str) -> None:
    assert built(variant) == golden(f"train_job_{variant}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_match_the_schemas_of_the_api(variant: str) -> None:
    described, wanted = built(variant)
    assert problems(described) == problems(wanted) == []
    assert pod_problems(pod_template(described)["spec"]) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_follow_the_rules_of_the_webhooks(variant: str) -> None:
    described, wanted = built(variant)
    (group,) = described["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = pod_template(described)["spec"]["containers"]
    assert group["name"] == container["name"] == "node"
    assert group["template"]["metadata"]["labels"]["trainer.kubeflow.org/trainjob-ancestor-step"] == "trainer"
    assert wanted["spec"]["runtimeRef"]["name"] == described["metadata"]["name"]
    assert wanted["spec"]["trainer"] == {"numNodes": VARIANTS[variant][1]}  # without it, pods do not find each other
    assert len(wanted["metadata"]["name"] + "-node-0-9999-12345") <= 63


def test_options_that_pods_cannot_use_are_refused() -> None:
    with pytest.raises(InputError, match="a TrainJob needs --image"):
        runtime(STEP, PODS.model_copy(update={"image": ""}), job())
    with pytest.raises(InputError, match="local_data/model: pods cannot reach this machine's files"):
        runtime(STEP, PODS, job(model_output_file="local_data/model"))

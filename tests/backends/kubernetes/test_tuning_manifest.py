"""The Experiment: whole manifests, and the rules that Katib's webhook has beyond the schema."""

import re
import shlex
from typing import Any

import pytest

from container_component_src.backends.kubernetes.tuning_manifest import manifest
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError
from container_component_src.processes import PROJECT_ROOT
from container_component_src.steps.shared import PodSettings
from container_component_src.steps.tuning import Experiment, SearchSpace
from container_component_src.values import IMAGE_USER, validated
from tests.backends.kubernetes.golden import PLACED, PODS, STEP, golden
from tests.cluster.schemas import pod_problems, problems

SPACE = SearchSpace.model_validate(
    {"latent_dims": [4, 8], "hidden_dims": ["16,8"], "betas": [0.5, 1.0], "lrs": [1e-05, 0.003], "batch_sizes": [32]}
)
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "random": ({}, {}),
    "grid": ({"gpus": 1, "service_account": "trainer"}, {"algorithm": "grid", "max_trials": 99}),
    "medianstop": (
        {},
        {
            "algorithm": "bayesian",
            "trial_early_stopping": "medianstop",
            "medianstop_min_trials_required": 2,
            "max_failed_trials": 3,
        },
    ),
    "site": (PLACED, {}),
}


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        **dict(SPACE), "algorithm": "random", "max_trials": 3, "parallel_trials": 2, "max_failed_trials": 1,
        "train_df_path": "minio://data/train", "val_df_path": "s3://data/val", "max_epochs": 2,
        "early_stopping_patience": 1, "seed": 5, "trial_timeout": 60.0,
    }  # fmt: skip
    return validated(Experiment, values | changes)


def built(variant: str = "random", step: Step = STEP) -> dict[str, Any]:
    pods, changes = VARIANTS[variant]
    return manifest(step, PODS.model_copy(update=pods), experiment(**changes))


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_equal_the_golden_files(variant: str) -> None:
    assert built(variant) == golden(f"experiment_{variant}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_match_the_schemas_of_the_api(variant: str) -> None:
    made = built(variant)
    assert problems(made) == []
    job = made["spec"]["trialTemplate"]["trialSpec"]
    assert problems(job) == []
    assert pod_problems(job["spec"]["template"]["spec"]) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_trial_is_a_valid_job(variant: str) -> None:
    job = built(variant)["spec"]["trialTemplate"]["trialSpec"]
    assert set(job) == {"apiVersion", "kind", "spec"}  # Katib sets name and namespace
    assert problems(job) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_follow_the_rules_of_katibs_webhook(variant: str) -> None:
    made = built(variant)
    spec = made["spec"]
    template = spec["trialTemplate"]
    (container,) = template["trialSpec"]["spec"]["template"]["spec"]["containers"]
    assert len(made["metadata"]["name"]) <= 40
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made["metadata"]["name"])
    assert spec["parallelTrialCount"] <= spec["maxTrialCount"]
    assert spec.get("maxFailedTrialCount", 1) <= spec["maxTrialCount"]
    used = set(re.findall(r"\$\{trialParameters\.(.+?)\}", " ".join(container["command"])))
    assert used == {item["name"] for item in template["trialParameters"]}
    searched = {item["name"] for item in spec["parameters"]}
    assert searched == {item["reference"] for item in template["trialParameters"]}
    assert template["primaryContainerName"] == container["name"]
    assert spec["objective"]["type"] == "minimize"
    assert spec["objective"]["objectiveMetricName"] not in spec["objective"].get("additionalMetricNames", [])
    assert spec["algorithm"]["algorithmName"] in {"random", "tpe", "grid", "bayesianoptimization"}
    assert spec["metricsCollectorSpec"]["collector"]["kind"] == "StdOut"  # which early stopping needs
    for item in spec["parameters"]:
        assert item["parameterType"] in {"categorical", "discrete"}
        assert set(item["feasibleSpace"]) == {"list"}  # no bounds for these types
        assert all(isinstance(choice, str) for choice in item["feasibleSpace"]["list"])
    (pattern,) = spec["metricsCollectorSpec"]["source"]["filter"]["metricsFormat"]
    assert re.compile(pattern).groups == 2
    assert ";" not in pattern


def test_the_trial_survives_a_round_trip_through_kubernetes() -> None:
    """Katib refuses it otherwise, resources apart: here the one quantity beside them."""
    settings = validated(PodSettings, {**PODS.model_dump(), "shared_memory": "1024Mi", "memory": "8192Mi"})
    pod = manifest(STEP, settings, experiment())["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["emptyDir"]["sizeLimit"] == "1Gi"


def test_grid_has_no_more_trials_than_points() -> None:
    assert built("grid")["spec"]["maxTrialCount"] == SPACE.size == 8


@pytest.mark.parametrize(("allowed", "count"), [(0, 1), (1, 2), (2, 3), (3, None), (99, None)])
def test_katib_gets_the_number_of_failures_that_ends_the_experiment(allowed: int, count: int | None) -> None:
    """It fails at that number; above the number of trials its webhook refuses it."""
    spec = manifest(STEP, PODS, experiment(max_trials=3, max_failed_trials=allowed))["spec"]
    assert spec.get("maxFailedTrialCount") == count


def test_the_deadlines_of_trials_keep_logs_and_allow_for_slow_nodes() -> None:
    job = manifest(STEP, PODS, experiment(trial_timeout=59.2))["spec"]["trialTemplate"]["trialSpec"]["spec"]
    assert job["template"]["spec"]["activeDeadlineSeconds"] == 60
    assert job["activeDeadlineSeconds"] == 960


@pytest.mark.parametrize(("user", "context"), [(1000, {"runAsUser": 1000, "runAsGroup": 1000}), (0, None)])
def test_the_collector_gets_the_user_of_the_trial(user: int, context: dict[str, int] | None) -> None:
    template = manifest(STEP, PODS, experiment(trial_user=user))["spec"]["trialTemplate"]
    assert template["trialSpec"]["spec"]["template"]["spec"].get("securityContext") == context


def test_trials_run_as_the_user_of_the_image() -> None:
    assert f"USER {IMAGE_USER}:{IMAGE_USER}\n" in (PROJECT_ROOT / "Dockerfile").read_text()


def test_the_command_survives_katibs_shell() -> None:
    """Katib joins the command with blanks and hands it to `sh -c`, after it has put the values in place."""
    (container,) = built()["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    command = container["command"]
    for name, choices in SPACE.choices().items():
        command = [part.replace(f"${{trialParameters.{name}}}", str(choices[0])) for part in command]
    assert shlex.split(" ".join(command)) == command
    assert command[command.index("--hidden-dims") + 1] == "16,8"
    assert command[command.index("--train-df-path") + 1] == "s3://data/train"


def test_runs_do_not_collide() -> None:
    assert built()["metadata"]["name"] != built(step=Step("another-run"))["metadata"]["name"]


@pytest.mark.parametrize(
    ("pods", "changes", "message"),
    [
        ({"namespace": ""}, {}, "a Katib experiment needs --namespace"),
        ({"image": ""}, {}, "a Katib experiment needs --image"),
        ({}, {"train_df_path": "local_data/train"}, "local_data/train: pods cannot reach this machine's files"),
    ],
)
def test_options_that_pods_cannot_use_are_refused(pods: dict[str, str], changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        manifest(STEP, PODS.model_copy(update=pods), experiment(**changes))

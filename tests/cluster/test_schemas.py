"""Tests that the validation of manifests refuses what the API server would refuse."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.schemas import problems

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FIRST_CONTAINERS = {
    "pytorchjob_one_node": ("spec", "pytorchReplicaSpecs", "Master", "template", "spec", "containers", 0),
    "inferenceservice_standard": ("spec", "predictor", "containers", 0),
    "daskcluster_fixed": ("spec", "worker", "spec", "containers", 0),
}


def at(manifest: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        manifest = manifest[key]
    return manifest


@pytest.mark.parametrize("name", FIRST_CONTAINERS)
@pytest.mark.parametrize(("field", "value"), [("imagePullPolice", "Always"), ("command", "python"), ("env", {})])
def test_wrong_field_of_a_container_is_refused(name: str, field: str, value: object) -> None:
    manifest = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    assert problems(manifest) == []
    wrong = deepcopy(manifest)
    at(wrong, FIRST_CONTAINERS[name])[field] = value
    assert problems(wrong)


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        (("spec",), "maxTrials", 3),
        (("spec",), "maxTrialCount", "3"),
        (("spec", "parameters", 0, "feasibleSpace"), "list", "4"),
    ],
)
def test_wrong_field_of_an_experiment_is_refused(path: tuple[str | int, ...], field: str, value: object) -> None:
    manifest = yaml.safe_load((GOLDEN / "experiment_random.yaml").read_text())
    assert problems(manifest) == []
    at(manifest, path)[field] = value
    assert problems(manifest)

from pathlib import Path

import pytest

from container_component_src.cluster import step as step_module
from container_component_src.cluster.step import Step, own_namespace


def test_objects_are_owned_by_the_pod_of_their_step_in_its_namespace_only() -> None:
    environment = {
        "PIPELINE_RUN_ID": "run",
        "PIPELINE_POD_NAME": "pod",
        "PIPELINE_POD_UID": "uid",
        "PIPELINE_POD_NAMESPACE": "telemetry",
    }
    step = Step.from_environment(environment)
    assert [owner["uid"] for owner in step.metadata("a", "telemetry")["ownerReferences"]] == ["uid"]
    assert "ownerReferences" not in step.metadata("a", "elsewhere")  # the owner would not be found: deleted at once
    del environment["PIPELINE_POD_NAMESPACE"]
    assert "ownerReferences" in Step.from_environment(environment).metadata("a", "elsewhere")


def test_the_namespace_is_the_named_one_or_that_of_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "namespace"
    monkeypatch.setattr(step_module, "NAMESPACE_FILE", file)
    in_a_step = {"PIPELINE_POD_NAMESPACE": "profile"}
    assert own_namespace("named", in_a_step) == "named"
    assert own_namespace("", in_a_step) == "profile"
    assert own_namespace("", {}) == ""
    file.write_text("notebooks\n")
    assert own_namespace("", {}) == "notebooks"

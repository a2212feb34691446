import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.cluster import step as step_module
from container_component_src.cluster.kinds import DASK_CLUSTER, EXPERIMENT, PYTORCH_JOB, Kind
from container_component_src.cluster.step import Step, own_namespace


def test_step_pod_owns_objects_only_in_its_own_namespace() -> None:
    environment = {
        "PIPELINE_RUN_ID": "run",
        "PIPELINE_POD_NAME": "pod",
        "PIPELINE_POD_UID": "uid",
        "PIPELINE_POD_NAMESPACE": "telemetry",
    }
    step = Step.from_environment(environment)
    assert [owner["uid"] for owner in step.metadata("a", "telemetry")["ownerReferences"]] == ["uid"]
    assert "ownerReferences" not in step.metadata("a", "elsewhere")  # Kubernetes would delete the object
    del environment["PIPELINE_POD_NAMESPACE"]
    assert "ownerReferences" in Step.from_environment(environment).metadata("a", "elsewhere")


def test_namespace_is_the_given_one_or_that_of_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "namespace"
    monkeypatch.setattr(step_module, "NAMESPACE_FILE", file)
    in_a_step = {"PIPELINE_POD_NAMESPACE": "profile"}
    assert own_namespace("named", in_a_step) == "named"
    assert own_namespace("", in_a_step) == "profile"
    assert own_namespace("", {}) == ""
    file.write_text("notebooks\n")
    assert own_namespace("", {}) == "notebooks"


DERIVED = {  # longest name derived from an object's name, and its length limit
    DASK_CLUSTER: ("{}-scheduler", 63),
    EXPERIMENT: ("{}", 40),
    PYTORCH_JOB: ("{}-worker-9999", 63),
}


@given(
    run=st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?", fullmatch=True),
    kind=st.sampled_from([*DERIVED]),
)
def test_names_are_dns_labels_within_the_length_limit(run: str, kind: Kind) -> None:
    for prefix in ("tuning", "a-rather-long-name-of-a-pipeline-that-somebody-has-chosen-" * 3):
        name = Step(run).name(prefix, kind)
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
        pattern, limit = DERIVED[kind]
        assert len(pattern.format(name)) <= limit


def test_names_differ_between_runs_but_not_between_attempts() -> None:
    name = Step("a-run", "pod-1").name("train", PYTORCH_JOB)
    assert name != Step("another-run", "pod-1").name("train", PYTORCH_JOB)
    assert name == Step("a-run", "pod-2").name("train", PYTORCH_JOB)

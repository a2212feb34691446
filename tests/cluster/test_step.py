from container_component_src.cluster.step import Step


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

import pytest
import yaml

from container_component_src.backends.kubernetes.serving_bundles import bundle_of, deployed
from container_component_src.backends.kubernetes.serving_manifest import manifest
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.inference_services import PENDING, PREVIOUS_ANNOTATION, TEST_ANNOTATION
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.serving.deployment.service import DeployedBundles, bundle_to_deploy
from container_component_src.steps.serving import Hosting
from tests.backends.kubernetes.deployments import PODS, deploy, of_others, service, stored
from tests.backends.kubernetes.kserve_controller import KServe
from tests.cluster.emulator import Emulator
from tests.cluster.schemas import problems

NOTHING = DeployedBundles()


def bundles(*models: str) -> DeployedBundles:
    return DeployedBundles(*(f"s3://models/{model}" for model in models))


@pytest.mark.parametrize("storage", ["secret", "service-account"])
@pytest.mark.parametrize("combined", [False, True])
def test_the_bundle_is_read_from_the_spec(step: Step, storage: str, combined: bool) -> None:
    hosting = Hosting.model_validate({"model_storage": storage, "combined": combined})
    pods = PODS.model_copy(update={"service_account": "editor"})
    assert bundle_of(manifest(step, pods, service("one", hosting))) == "s3://models/one"


def test_a_cluster_without_the_service_or_kserve_has_no_bundles(cluster: Cluster, emulator: Emulator) -> None:
    assert deployed(cluster, "eclss") == NOTHING
    emulator.fail("GET", "/inferenceservices/eclss$", 404, times=9)
    assert deployed(cluster, "eclss") == NOTHING


def test_a_service_of_others_or_that_was_never_tested_does_not_count(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    emulator.put("InferenceService", of_others(step))
    assert deployed(cluster, "eclss") == NOTHING
    emulator.put("InferenceService", manifest(step, PODS, service("one")))
    assert stored(emulator)["metadata"]["annotations"][TEST_ANNOTATION] == PENDING
    assert deployed(cluster, "eclss") == NOTHING


def test_an_update_remembers_the_bundle_before_and_a_rollback_of_a_rollback_returns(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    assert deployed(cluster, "eclss") == bundles("one")
    deploy(cluster, step, service("two"))
    assert deployed(cluster, "eclss") == bundles("two", "one")
    for expected in (bundles("one", "two"), bundles("two", "one")):
        uri = bundle_to_deploy("previous", "eclss", lambda: deployed(cluster, "eclss"))
        deploy(cluster, step, service(uri.rpartition("/")[2]))
        assert deployed(cluster, "eclss") == expected
    assert problems({**stored(emulator), "status": {}}) == []


def test_other_options_of_the_same_bundle_leave_the_previous_one(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    for model, replicas in (("one", 1), ("two", 1), ("two", 2), ("two", 2)):
        deploy(cluster, step, service(model, Hosting(max_replicas=replicas)))
    assert deployed(cluster, "eclss") == bundles("two", "one")


def test_a_deployment_that_is_undone_leaves_the_record_as_it_was(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    for model in ("one", "two"):
        deploy(cluster, step, service(model))
    kserve.scores["three"] = 2.0
    with pytest.raises(StepError):
        deploy(cluster, step, service("three"))
    assert deployed(cluster, "eclss") == bundles("two", "one")
    assert stored(emulator)["metadata"]["annotations"][PREVIOUS_ANNOTATION] == "s3://models/one"
    assert yaml.safe_dump(stored(emulator)["spec"]).count("s3://models/two") == 2

"""The DaskCluster: whole manifests, and the rules of the operator beyond the schema."""

from typing import Any

import pytest

from container_component_src.backends.kubernetes.dask import check_versions
from container_component_src.backends.kubernetes.dask_manifest import manifest
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError, StepError
from container_component_src.steps.data import ClusterSpec
from container_component_src.values import validated
from tests.backends.kubernetes.golden import PODS, SITE, STEP, golden
from tests.cluster.schemas import pod_problems, problems

VARIANTS: dict[str, tuple[dict[str, Any], ClusterSpec]] = {
    "fixed": ({}, ClusterSpec(num_dask_workers=3)),
    "adaptive": (
        {"service_account": "reader", "cpu": "2500m", "memory": "8Gi"},
        ClusterSpec(num_dask_workers=3, min_workers=1, max_workers=8),
    ),
    "site": (SITE, ClusterSpec(num_dask_workers=3)),
}


def built(variant: str = "fixed", step: Step = STEP) -> dict[str, Any]:
    pods, spec = VARIANTS[variant]
    return manifest(step, PODS.model_copy(update=pods), spec)


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_equal_the_golden_files(variant: str) -> None:
    assert built(variant) == golden(f"daskcluster_{variant}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_match_the_schemas_of_the_api(variant: str) -> None:
    made = built(variant)
    assert problems(made) == []
    for part in ("scheduler", "worker"):
        assert pod_problems(made["spec"][part]["spec"]) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_have_what_the_operator_and_kubecluster_need(variant: str) -> None:
    made = built(variant)
    name, spec = made["metadata"]["name"], made["spec"]
    assert len(name) <= 53
    assert spec["idleTimeout"] > 0
    for part in ("scheduler", "worker"):
        (container,) = spec[part]["spec"]["containers"]
        assert container["name"] == part
        assert container["args"][:2] == ["dask", part]  # without an entry point these are the command
        assert "command" not in container
    assert spec["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == name
    assert {port["name"] for port in spec["scheduler"]["service"]["ports"]} == {"tcp-comm", "http-dashboard"}
    assert made["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"


def test_workers_have_one_thread_per_requested_core() -> None:
    arguments = built("adaptive")["spec"]["worker"]["spec"]["containers"][0]["args"]
    assert arguments[arguments.index("--nthreads") + 1] == "2"
    halved = manifest(STEP, PODS.model_copy(update={"cpu": "500m"}), ClusterSpec(num_dask_workers=1))
    arguments = halved["spec"]["worker"]["spec"]["containers"][0]["args"]
    assert arguments[arguments.index("--nthreads") + 1] == "1"


def test_runs_do_not_collide() -> None:
    assert built()["metadata"]["name"] != built(step=Step("another-run"))["metadata"]["name"]


def test_missing_options_are_refused() -> None:
    with pytest.raises(InputError, match="a Dask cluster needs --namespace"):
        manifest(STEP, PODS.model_copy(update={"namespace": ""}), ClusterSpec(num_dask_workers=1))


@pytest.mark.parametrize("bounds", [(0, 4), (3, 2), (2, 0)])
def test_invalid_bounds_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"--min-workers {bounds[0]} and --max-workers {bounds[1]} are no range"):
        validated(ClusterSpec, {"num_dask_workers": 2, "min_workers": bounds[0], "max_workers": bounds[1]})


def test_version_differences_are_reported() -> None:
    here = {"packages": {"python": "3.11.2", "dask": "2026.5.0", "own": "1"}}
    worker = {"packages": {"python": "3.11.2", "dask": "2026.1.0", "other": "2"}}
    check_versions({"client": here, "scheduler": here, "workers": {"tcp://1": here}})
    message = r"the Dask worker has dask 2026.1.0, this step 2026.5.0; give --dask-worker-image the image"
    with pytest.raises(StepError, match=message):
        check_versions({"client": here, "scheduler": here, "workers": {"tcp://1": here, "tcp://2": worker}})

from pathlib import Path
from typing import Any

import pytest

from container_component_src.cluster.access import Cluster, connect
from container_component_src.maintenance.checks import Check
from container_component_src.maintenance.quota_checks import Demand, check_quotas, demands
from container_component_src.settings import StepResources, TrainingResources, load_settings
from tests.cluster.emulator import NAMESPACE, Emulator

CONFIG = Path(__file__).resolve().parents[2] / "config.toml"
STEP = StepResources(cpu="500m", memory="1Gi")
TRIAL = TrainingResources(cpu="4", memory="8Gi", gpus=1)
TUNING = Demand("tuning", (STEP, TRIAL, TRIAL))


@pytest.fixture
def cluster(administrator: None) -> Cluster:
    return connect(NAMESPACE, patience=0.0)


def put_quota(emulator: Emulator, hard: dict[str, str], used: dict[str, str], **spec: Any) -> None:
    status = {"hard": hard, "used": used}
    manifest = {"apiVersion": "v1", "metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": status}
    emulator.put("ResourceQuota", manifest)


def put_range(emulator: Emulator, **limits: dict[str, str]) -> None:
    spec = {"limits": [{"type": "Container", **limits}]}
    emulator.put("LimitRange", {"apiVersion": "v1", "metadata": {"name": "l"}, "spec": spec})


def the_check(cluster: Cluster) -> Check:
    (check,) = check_quotas(cluster, [TUNING])
    return check


@pytest.mark.parametrize(
    ("hard", "used", "state", "detail"),
    [
        ({"requests.cpu": "20", "limits.memory": "20Gi"}, {"requests.cpu": "2"}, "ok", "requests.cpu: 18 of 20 left"),
        ({"requests.cpu": "8"}, {}, "failed", "too small: tuning needs requests.cpu 8.5"),
        ({"cpu": "9"}, {"cpu": "1"}, "warning", "not enough at present: tuning needs cpu 8.5"),
        ({"memory": "16Gi"}, {}, "failed", "tuning needs memory 17Gi"),
        ({"requests.nvidia.com/gpu": "1"}, {}, "failed", "tuning needs requests.nvidia.com/gpu 2"),
        ({"pods": "3"}, {"pods": "1"}, "warning", "tuning needs pods 3"),
        ({"limits.cpu": "64"}, {}, "failed", "no pod without a CPU limit"),
        ({"services": "1"}, {"services": "1"}, "ok", "services: 0 of 1 left"),
    ],
)
def test_quota(
    cluster: Cluster, emulator: Emulator, hard: dict[str, str], used: dict[str, str], state: str, detail: str
) -> None:
    put_quota(emulator, hard, used)
    check = the_check(cluster)
    assert check.state == state, check
    assert detail in check.detail


def test_scoped_quota_is_not_compared(cluster: Cluster, emulator: Emulator) -> None:
    put_quota(emulator, {"pods": "1"}, {}, scopes=["BestEffort"])
    assert the_check(cluster).state == "ok"


def test_default_cpu_limit_satisfies_a_quota(cluster: Cluster, emulator: Emulator) -> None:
    put_quota(emulator, {"limits.cpu": "64"}, {})
    put_range(emulator, default={"cpu": "4"})
    assert all(check.ok for check in check_quotas(cluster, [TUNING]))


@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        ({"max": {"memory": "4Gi"}}, "tuning requests memory 8Gi in one pod, at most 4Gi is allowed"),
        ({"min": {"cpu": "1"}}, "tuning requests cpu 0.5 in one pod, at least 1 is required"),
        ({"default": {"cpu": "2"}}, "tuning requests cpu 4 in one pod, above the limit of 2"),
    ],
)
def test_limit_range(cluster: Cluster, emulator: Emulator, limits: dict[str, dict[str, str]], detail: str) -> None:
    put_range(emulator, **limits)
    check = the_check(cluster)
    assert check.state == "failed"
    assert detail in check.detail


def test_unreadable_quotas_are_a_warning(cluster: Cluster, emulator: Emulator) -> None:
    emulator.fail("GET", "/resourcequotas$", 403)
    assert the_check(cluster).state == "warning"


def test_namespace_without_quotas(cluster: Cluster) -> None:
    assert the_check(cluster) == Check("quota", True, "none in this namespace")


def test_demands_follow_the_configuration() -> None:
    settings = load_settings(CONFIG)
    total = {demand.step: demand.total for demand in demands(settings)}
    assert total["tuning"]["cpu"] == 2 * 4 + 0.5
    assert total["preprocessing"]["pods"] == 1 + 1 + 2
    more = settings.model_copy(update={"parameters": {"max_dask_workers": 9, "parallel_trials": 5}})
    total = {demand.step: demand.total for demand in demands(more)}
    assert total["preprocessing"]["pods"] == 11
    assert total["tuning"]["pods"] == 6

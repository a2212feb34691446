"""Checks of a namespace's quotas and limit ranges against the requests of the steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from container_component_src.cluster.access import Cluster, ForbiddenError
from container_component_src.errors import StepError
from container_component_src.maintenance.checks import Check, failed_check
from container_component_src.settings import Resources, Settings, StepResources, TrainingResources
from container_component_src.steps.parameters import pipeline_parameters

_SERVING_PODS = 2  # predictor and transformer
# Keys of a quota, and the amount of `Demand.total` that each limits.
_REQUESTED = {"cpu": "cpu", "requests.cpu": "cpu", "memory": "memory", "requests.memory": "memory"}
_REQUESTED |= {"limits.memory": "memory", "pods": "pods", "count/pods": "pods"}

Amounts = dict[str, Decimal]


@dataclass(frozen=True)
class Demand:
    """Pods that a step runs at the same time, including its own."""

    step: str
    pods: tuple[StepResources, ...]

    @property
    def total(self) -> Amounts:
        """Sum of the pods' requests."""
        total: Amounts = {"pods": Decimal(len(self.pods))}
        for pod in self.pods:
            for name, amount in _requests(pod).items():
                total[name] = total.get(name, Decimal(0)) + amount
        return total


def demands(settings: Settings) -> list[Demand]:
    """Return the demands of the pipeline's steps with the parameters of a configuration."""

    def count(name: str) -> int:
        value = settings.parameters.get(name, pipeline_parameters()[name].default)
        return int(value) if isinstance(value, int | float) else 0

    resources: Resources = settings.resources
    workers = max(count("num_dask_workers"), count("max_dask_workers"))
    jobs: dict[str, list[StepResources]] = {
        "preprocessing": [resources.dask_worker] * (1 + workers),
        "tuning": [resources.training for _ in range(count("parallel_trials"))],
        "training": [resources.training for _ in range(count("num_gpu_nodes"))],
        "deployment": [resources.serving] * _SERVING_PODS,
    }
    launching = [Demand(step, (resources.light, *pods)) for step, pods in jobs.items()]
    return [Demand("a data step", (resources.data,)), *launching]


def check_quotas(cluster: Cluster, wanted: Sequence[Demand]) -> list[Check]:
    """Check that the quotas and limit ranges of the namespace admit the steps' pods, and report what is left.

    Args:
        cluster: Access to the namespace.
        wanted: Demands of the steps; empty to report only what is left.
    """
    try:
        quotas = _items(cluster, cluster.core.list_namespaced_resource_quota, "quotas")
        ranges = _items(cluster, cluster.core.list_namespaced_limit_range, "limit ranges")
    except ForbiddenError:
        fix = "run doctor with credentials that may list resourcequotas and limitranges"
        return [Check("quota", False, "these credentials may not read quotas", fix, required=False)]
    except StepError as error:
        return [failed_check("quota", error)]
    with_default = any("cpu" in (limit.default or {}) for limit in _container_limits(ranges))
    checks = [_check_quota(quota, wanted, with_default) for quota in quotas]
    checks += [_check_range(found, wanted) for found in ranges]
    return checks or [Check("quota", True, "none in this namespace")]


def _items(cluster: Cluster, call: Any, thing: str) -> list[Any]:
    found: list[Any] = cluster.request(call, "list", thing, cluster.namespace).items
    return found


def _check_quota(quota: Any, wanted: Sequence[Demand], cpu_limit_by_default: bool) -> Check:
    name = f"quota {quota.metadata.name}"
    hard = _amounts(quota.status.hard or quota.spec.hard or {})
    used = _amounts(quota.status.used or {})
    left = {key: amount - used.get(key, Decimal(0)) for key, amount in hard.items()}
    detail = ", ".join(f"{key}: {_shown(key, left[key])} of {_shown(key, hard[key])} left" for key in hard)
    if quota.spec.scopes or quota.spec.scope_selector:
        return Check(name, True, f"{detail}; not compared with the steps, because it applies to some pods only")
    if wanted and "limits.cpu" in hard and not cpu_limit_by_default:
        fix = "add a LimitRange with a default CPU limit to the namespace, or drop limits.cpu from the quota"
        return Check(name, False, f"{detail}; it admits no pod without a CPU limit, and the steps' pods have none", fix)
    if never := list(_beyond(wanted, hard)):
        fix = "ask for a larger quota, or lower [resources] or the numbers of workers, trials and nodes"
        return Check(name, False, f"{detail}; too small: {'; '.join(never)}", fix)
    if now := list(_beyond(wanted, left)):
        fix = "wait for other jobs to finish, or delete unused ones"
        return Check(name, False, f"{detail}; not enough at present: {'; '.join(now)}", fix, required=False)
    return Check(name, True, detail)


def _beyond(wanted: Sequence[Demand], limits: Amounts) -> Iterator[str]:
    """Yield a line for each demand that exceeds a limit."""
    for demand in wanted:
        for key, limit in limits.items():
            need = demand.total.get(_REQUESTED.get(key, key.removeprefix("requests.")), Decimal(0))
            if need > limit:
                yield f"{demand.step} needs {key} {_shown(key, need)}"


def _check_range(found: Any, wanted: Sequence[Demand]) -> Check:
    """Check that the steps' containers satisfy a limit range."""
    name = f"limit range {found.metadata.name}"
    problems: dict[str, None] = {}
    for limit in found.spec.limits:
        if limit.type not in ("Container", "Pod"):
            continue
        for demand in wanted:
            for pod in demand.pods:
                problems |= dict.fromkeys(_violations(demand.step, _requests(pod), limit))
    if problems:
        fix = "change [resources], or ask for another limit range"
        return Check(name, False, "; ".join(problems), fix)
    return Check(name, True, "; ".join(_described(limit) for limit in found.spec.limits))


def _violations(step: str, requests: Amounts, limit: Any) -> Iterator[str]:
    most, least, default = (_amounts(bound or {}) for bound in (limit.max, limit.min, limit.default))
    for key, amount in requests.items():
        shown = f"{step} requests {key} {_shown(key, amount)} in one pod"
        if key in most and amount > most[key]:
            yield f"{shown}, at most {_shown(key, most[key])} is allowed"
        if key in least and amount < least[key]:
            yield f"{shown}, at least {_shown(key, least[key])} is required"
        if key == "cpu" and key in default and amount > default[key]:
            yield f"{shown}, above the limit of {_shown(key, default[key])} that containers get by default"


def _described(limit: Any) -> str:
    bounds = {"at most": limit.max, "at least": limit.min, "default limit": limit.default}
    lines = [f"{what} {key} {amount}" for what, amounts in bounds.items() for key, amount in (amounts or {}).items()]
    return f"{limit.type}: {', '.join(lines) or 'no limit that affects the steps'}"


def _container_limits(ranges: Sequence[Any]) -> list[Any]:
    return [limit for found in ranges for limit in found.spec.limits if limit.type == "Container"]


def _requests(pod: StepResources) -> Amounts:
    """Return the requests of a pod's only container."""
    requests: Amounts = {"cpu": parse_quantity(pod.cpu), "memory": parse_quantity(pod.memory)}
    if isinstance(pod, TrainingResources) and pod.gpus:
        requests[pod.gpu_resource] = Decimal(pod.gpus)
    return requests


def _amounts(quantities: Mapping[str, str]) -> Amounts:
    return {key: parse_quantity(quantity) for key, quantity in quantities.items()}


def _shown(key: str, amount: Decimal) -> str:
    if "memory" in key or "storage" in key:
        return f"{float(amount / 2**30):.4g}Gi"
    return f"{float(amount):g}"

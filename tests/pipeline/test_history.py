"""Comparison of two runs."""

import json
from typing import Any

import pytest

from container_component_src.errors import InputError
from container_component_src.evaluation.result import ALARM_METRICS
from pipeline.history import COMPARED_METRICS, PastRun, PastStep, compare, find_run, shared_parameters


def past(run_id: str = "1a", **known: Any) -> PastRun:
    return PastRun(id=run_id, status="succeeded", **known)


def test_all_metrics_of_alarms_are_compared() -> None:
    assert set(ALARM_METRICS) < set(COMPARED_METRICS)


def test_runs_differ_in_parameters_metrics_data_and_seconds() -> None:
    first = past(
        parameters={"seed": 1, "max_epochs": 5},
        metrics={"composite_f1": 0.5, "pr_auc": 0.25, "best_f1": 1.0},
        data={"rows": 5},
        steps=[PastStep("train", "succeeded", 2.0)],
    )
    second = past(
        parameters={"max_epochs": 5, "detector": "pca"},
        metrics={"composite_f1": 0.75},
        data={"rows": 6},
        steps=[PastStep("train", "cached", 3.0), PastStep("deploy", "succeeded", 1.0)],
    )
    document = compare(first, second).document()
    assert document["parameters"] == {"seed": (1, None), "detector": (None, "pca")}
    assert document["metrics"] == {
        "composite_f1": {"values": (0.5, 0.75), "difference": 0.25},
        "pr_auc": {"values": (0.25, None), "difference": None},
    }
    assert (document["data"], document["seconds"]) == ({"rows": (5, 6)}, {"train": (2.0, 3.0), "deploy": (None, 1.0)})
    assert json.dumps(document)


@pytest.mark.parametrize(
    ("changed", "shared"),
    [
        ([{"seed": 1, "a": 2}, {"seed": 1, "a": 3}, None], {"seed": 1}),
        ([{"seed": 1}, {}], {}),
        ([{"seed": 1}], {}),
        ([], {}),
    ],
)
def test_shared_parameters_are_those_of_all_runs(changed: list[dict[str, int] | None], shared: dict[str, int]) -> None:
    assert shared_parameters([past(parameters=parameters) for parameters in changed]) == shared


def test_a_run_is_found_by_the_first_characters_of_its_id() -> None:
    runs = [past("1a2b"), past("1a2c"), past("1a")]
    assert find_run(runs, "1a2c") is runs[1]
    assert find_run(runs, "1a") is runs[2]
    for wanted, message in (("1a2", "2 runs have an ID that begins with '1a2'"), ("x", "no run 'x'"), ("", "no run")):
        with pytest.raises(InputError, match=message):
            find_run(runs, wanted)

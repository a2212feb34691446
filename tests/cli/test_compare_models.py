"""The command as the pipeline runs it: a challenger is refused, and another one promoted, each with its report."""

import json
from pathlib import Path
from typing import Any

import pytest

from container_component_src.alarms.rule import AlarmRule
from container_component_src.backends.local.deployments import record
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.evaluation.gate import check_gate
from container_component_src.model.bundle import Bundle
from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.steps.evaluation import GateLimits
from tests.backends.kubernetes.deployments import deploy, service
from tests.backends.kubernetes.kserve_controller import KServe
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.evaluation.cases import Case, recalibrate, write_case
from tests.helpers import Invoke, assert_refused
from tests.report.cases import evaluated, report


def make_case(folder: Path, threshold: float, min_composite_f1: float = 0.0) -> Case:
    """Write a model with an alarm threshold, its data, its evaluation and its gate."""
    case = write_case(folder)
    recalibrate(case, rule=AlarmRule(raise_above=threshold, clear_below=threshold, max_gap_ns=10**10))
    evaluated(case)
    limits = GateLimits(min_composite_f1=min_composite_f1)
    check_gate(str(folder / "evaluation.json"), limits).write(str(folder / "gate.json"))
    return case


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("good"), 8.0)


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("blind"), 1e6)


def command(case: Case, deployments: Path, *more: object) -> tuple[object, ...]:
    folder = case.out.parent
    return (
        *("compare_models", "--bundle-path", case.bundle, "--test-df-path", case.test),
        *("--gate-path", folder / "gate.json", "--comparison-path", folder / "comparison.json"),
        *("--deployments", deployments, "--service-name", "eclss", *more),
    )


def result(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((case.out.parent / "comparison.json").read_text())
    return found


def deployed(case: Case, deployments: Path) -> None:
    """Note a model as that of the service."""
    version = Bundle.load(case.bundle).info.version
    record(deployments, Service("eclss", case.bundle, SmokeRequest((), ()), version))


def texts_of_report(case: Case) -> str:
    folder = case.out.parent
    page = report(case, gate=str(folder / "gate.json"), comparison=str(folder / "comparison.json"))
    return " ".join(" ".join(page.texts).split())


@pytest.mark.parametrize("challenger", ["good", "blind"])
def test_a_challenger_is_promoted_or_refused_with_its_report(
    challenger: str, good: Case, blind: Case, tmp_path: Path, invoke: Invoke, caplog: pytest.LogCaptureFixture
) -> None:
    new, old = (good, blind) if challenger == "good" else (blind, good)
    deployed(old, tmp_path)
    with caplog.at_level("INFO"):
        outcome = invoke(*command(new, tmp_path))
    assert outcome.code == 0, outcome.stderr
    printed, written = json.loads(outcome.stdout), result(new)
    promoted = challenger == "good"
    assert printed["promoted"] is written["promoted"] is promoted
    assert printed["promotion_reason"] == written["reason"]
    assert f"{'promoted' if promoted else 'refused'}: {written['reason']}" in caplog.messages
    assert written["champion"].startswith(str(tmp_path / "eclss"))  # the copy
    text = texts_of_report(new)
    assert ("The model replaces the deployed one." in text) is promoted
    assert ("The model does not replace the deployed one, which stays." in text) is not promoted
    assert f"{written['reason'][0].upper()}{written['reason'][1:]}." in text
    table = text.partition("Metric Deployed model New model Gain")[2]
    f1 = f"{written['models']['gain']['challenger' if promoted else 'champion']:#.3g}"
    assert (
        f"Composite F1 {'0.00' if promoted else f1} {f1 if promoted else '0.00'} {'+' if promoted else '-'}{f1}"
        in table
    )
    assert "A-2 Fan <b>& co</b>" in table
    assert ("missed found" if promoted else "found missed") in table


def test_the_first_model_is_promoted_without_a_comparison(blind: Case, tmp_path: Path, invoke: Invoke) -> None:
    printed = json.loads(invoke(*command(blind, tmp_path)).stdout)
    assert printed["promoted"] is True
    assert printed["promotion_reason"] == "there is no deployed model to compare with"
    text = texts_of_report(blind)
    assert "The model is promoted without a comparison." in text
    assert "Deployed model New model" not in text


@pytest.mark.parametrize("nothing", ["none", ""])
def test_the_champion_can_be_named(nothing: str, good: Case, blind: Case, tmp_path: Path, invoke: Invoke) -> None:
    deployed(good, tmp_path)
    assert json.loads(invoke(*command(blind, tmp_path, "--champion", nothing)).stdout)["promoted"] is True
    assert json.loads(invoke(*command(blind, tmp_path, "--champion", good.bundle)).stdout)["promoted"] is False
    assert result(blind)["champion"] == good.bundle


def test_a_model_that_fails_the_gate_is_refused_even_without_a_champion(tmp_path: Path, invoke: Invoke) -> None:
    case = make_case(tmp_path, 1e6, min_composite_f1=0.5)
    printed = json.loads(invoke(*command(case, tmp_path)).stdout)
    assert printed["promoted"] is False
    assert "does not pass the gate: composite F1 0 must be at least 0.5" in printed["promotion_reason"]
    text = texts_of_report(case)
    assert "The model does not pass the gate, so it is not deployed." in text


def test_the_champion_of_a_cluster_is_that_of_the_service(
    good: Case,
    blind: Case,
    tmp_path: Path,
    invoke: Invoke,
    cluster: Cluster,
    emulator: Emulator,
    kserve: KServe,
    step: Step,
) -> None:
    place = ("--backend", "kubernetes", "--namespace", NAMESPACE)
    assert json.loads(invoke(*command(blind, tmp_path, *place)).stdout)["promoted"] is True
    deploy(cluster, step, service("one"))
    emulator.patch("InferenceService", "eclss", {"spec": with_bundle(emulator, good.bundle)})
    assert json.loads(invoke(*command(blind, tmp_path, *place)).stdout)["promoted"] is False
    assert result(blind)["champion"] == good.bundle


def with_bundle(emulator: Emulator, uri: str) -> dict[str, Any]:
    """Return the spec of the stored service with a bundle of this machine."""
    spec = json.dumps(emulator.objects("InferenceService")["eclss"]["spec"])
    found: dict[str, Any] = json.loads(spec.replace("s3://models/one", uri))
    return found


def test_wrong_limits_are_refused(good: Case, tmp_path: Path, invoke: Invoke) -> None:
    assert_refused(invoke(*command(good, tmp_path, "--min-gain", "2")), "--min-gain")
    assert_refused(invoke(*command(good, tmp_path, "--comparison-days", "-1")), "--comparison-days")

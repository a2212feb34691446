"""Runs of an experiment, as a simulated platform tells of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from container_component_src.command_line import run_command
from container_component_src.errors import InputError
from container_component_src.evaluation.result import Interval
from container_component_src.report.headline import headline
from container_component_src.report.text import NONE
from container_component_src.settings import Settings
from container_component_src.steps.shared import Origin
from pipeline import runs
from pipeline.compilation import compile_pipeline
from pipeline.remote import history
from pipeline.remote.history import examined, list_runs, read_headline
from pipeline.remote.workspace import Workspace
from tests.evaluation.gate_cases import evaluation
from tests.pipeline.remote.argo import Task, gate_driver
from tests.pipeline.remote.conftest import LOGIN
from tests.pipeline.remote.gateways import PROFILE
from tests.pipeline.remote.platform_server import Platform
from tests.pipeline.remote.runs_api import Moment

NAME = "columbus-eclss-ad"
LOG = (
    '"headline":  "composite F1: 0.794 (95 %: 0.660 to 0.894); best baseline, z-score: 0.355\\nevents found: 0.714\\n'
    'alarms a day: 1.4 (95 %: 1.03 to 1.86), 0.75 of them false",\n"service_name": "loop"'
)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FOUND = {"composite_f1": 0.794, "composite_f1_low": 0.66, "composite_f1_high": 0.894, "event_recall": 0.714}
ALARMS = {"alarms_per_day": 1.4, "alarms_per_day_low": 1.03, "alarms_per_day_high": 1.86, "false_alarms_per_day": 0.75}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The compiled pipeline as the API returns it, with a configuration that changes a default."""
    package = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    values = {"paths": {"archives": "s3://b/archives", "reports": "s3://b/reports.csv"}, "parameters": {"seed": 7}}
    origin = Origin(commit=COMMIT, image="image:1.0")
    compile_pipeline(Settings.model_validate(values), package, origin=origin)
    spec, platform = yaml.load_all(package.read_bytes(), yaml.CSafeLoader)
    return {"pipeline_spec": spec, "platform_spec": platform}


@pytest.fixture
def add_run(platform: Platform, workspace: Workspace) -> Callable[..., str]:
    """Function that adds a run to the experiment and returns its ID."""
    experiment = workspace.client.create_experiment(NAME, namespace=PROFILE).experiment_id

    def told(spec: dict[str, Any] | None = None, parameters: dict[str, Any] | None = None, **known: Any) -> str:
        given = {"display_name": "run", "experiment_id": experiment}
        given |= {"pipeline_spec": spec} if spec else {}
        given |= {"runtime_config": {"parameters": parameters}} if parameters else {}
        run = platform.api.add_run(given, PROFILE)
        run |= {"state": "SUCCEEDED", "finished_at": "2026-01-02T03:10:05Z", **known}
        return str(run["run_id"])

    return told


def test_runs_are_listed_with_what_they_were_compiled_from(
    workspace: Workspace, platform: Platform, compiled: dict[str, Any], add_run: Callable[..., str]
) -> None:
    first = add_run(compiled, {"max_epochs": 20.0, "lrs": [0.5], "of_another_release": 1.0})
    second = add_run(state="RUNNING", finished_at="0001-01-01T00:00:00Z")
    platform.api.add_run({"display_name": "of another experiment"}, PROFILE)
    running, run = list_runs(workspace, NAME, 10)
    assert (running.id, running.status, running.seconds, running.commit) == (second, "running", None, "")
    assert (run.id, run.status, run.seconds) == (first, "succeeded", 360)
    assert run.parameters == {"seed": 7, "max_epochs": 20, "lrs": [0.5]}
    assert (run.commit, run.image) == (COMMIT, "image:1.0")
    assert run.data == {"archives": "s3://b/archives", "reports": "s3://b/reports.csv"}
    assert run.report == workspace.run_url(first)
    assert [run.id for run in list_runs(workspace, NAME, 1)] == [second]


def test_runs_come_in_pages(workspace: Workspace, add_run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_LARGEST_PAGE", 2)
    added = [add_run() for _ in range(6)]
    assert [run.id for run in list_runs(workspace, NAME, 5)] == added[:0:-1]


def test_a_run_is_examined_for_its_metrics_deployment_and_steps(
    workspace: Workspace, platform: Platform, add_run: Callable[..., str]
) -> None:
    add_run()
    platform.api.story = [Moment("SUCCEEDED", {"run-pytorchjob": Task(cached=True), "deploy-to-kserve": Task()})]
    workspace.client.get_run(platform.api.runs[0]["run_id"])  # the simulation shows the state of the last request
    platform.api.pod_logs[gate_driver()] = LOG
    run = examined(workspace, list_runs(workspace, NAME, 1)[0])
    assert run.metrics == FOUND | ALARMS
    assert (run.deployed, run.service) == (True, "loop")
    assert [(step.name, step.status, step.seconds) for step in run.steps] == [
        ("run_pytorchjob", "cached", 90),
        ("deploy_to_kserve", "succeeded", 90),
    ]


@pytest.mark.parametrize(
    ("moment", "deployed"),
    [
        (Moment("SUCCEEDED", {"list-archives": Task()}, gate_closed=True), False),
        (Moment("FAILED", {"deploy-to-kserve": Task("Failed", attempts=2)}), False),
        (Moment("FAILED", {"deploy-to-kserve": Task(attempts=2), "cleanup": Task("Failed")}), True),
    ],
)
def test_a_model_is_deployed_if_its_deployment_succeeded(
    workspace: Workspace, platform: Platform, add_run: Callable[..., str], moment: Moment, deployed: bool
) -> None:
    run_id = add_run()
    platform.api.story = [moment]
    workspace.client.get_run(run_id)
    assert examined(workspace, list_runs(workspace, NAME, 1)[0]).deployed is deployed


def test_without_a_workflow_it_is_not_known_whether_a_model_was_deployed(
    workspace: Workspace, platform: Platform, add_run: Callable[..., str]
) -> None:
    add_run()
    platform.faults["/apis/v1beta1/"] = [404] * 9
    run = examined(workspace, list_runs(workspace, NAME, 1)[0])
    assert (run.deployed, run.metrics) == (None, {})


def test_an_unknown_experiment_is_named_and_not_created(workspace: Workspace, platform: Platform) -> None:
    with pytest.raises(InputError, match=f"no experiment 'other' in namespace {PROFILE}; .*--experiment"):
        list_runs(workspace, "other", 1)
    assert platform.api.experiments == []


def test_the_command_lists_and_compares_runs_of_a_platform(
    platform: Platform,
    add_run: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = add_run(), add_run(parameters={"seed": 1.0})
    platform.api.pod_logs[gate_driver()] = LOG
    platform.api.story = [Moment("SUCCEEDED", {"deploy-to-kserve": Task()})]
    login = [f"KUBEFLOW_ENDPOINT={platform.endpoint}", *(f"{name}={value}" for name, value in LOGIN.items())]
    (tmp_path / ".env").write_text("\n".join(login))
    monkeypatch.setattr(runs, "PROJECT_ROOT", tmp_path)
    for arguments, found in (([], [second, first]), (["--compare", first[:13], second], [first, second])):
        assert run_command(runs.runs, ["--remote", "--json", *arguments], "runs") == 0
        document = json.loads(capsys.readouterr().out)
        assert [run["id"] for run in document["runs"]] == found
    assert document["parameters"] == {"seed": [None, 1]}


def test_the_main_figures_of_an_evaluation_are_read_back() -> None:
    interval = Interval(low=0.25, high=0.5)
    many = Interval(low=1200, high=12345)
    result = evaluation(rate=1500).model_copy(
        update={"intervals": {"composite_f1": interval, "event_recall": interval, "alarms_per_day": many}}
    )
    result = result.model_copy(update={"calibrated": result.calibrated.model_copy(update={"alarms_per_day": 2345.6})})
    assert read_headline("\n".join(headline(result))) == {
        **{"composite_f1": 0.7, "composite_f1_low": 0.25, "composite_f1_high": 0.5},
        **{"event_recall": 0.5, "event_recall_low": 0.25, "event_recall_high": 0.5},
        **{"alarms_per_day": 2350, "alarms_per_day_low": 1200, "alarms_per_day_high": 12300},
        "false_alarms_per_day": 1500,
    }
    assert read_headline(f"composite F1: {NONE}\nsomething else") == {}

"""Following runs to each kind of end, on a simulated platform."""

import json
import logging

import pytest

from pipeline.login.errors import PlatformError
from pipeline.remote import request_retry, waiting, workflow_watch
from tests.pipeline.remote.argo import Task, driver_of, gate_driver, pod_of
from tests.pipeline.remote.conftest import Follow
from tests.pipeline.remote.gateways import PROFILE
from tests.pipeline.remote.platform_server import Fault, Platform
from tests.pipeline.remote.runs_api import Moment, problem

RUNNING = {"list-archives": Task(), "run-pytorchjob": Task("Running")}
LOG = """I0102 03:04:05.678901      16 launcher_v2.go:151] ExecutorInput
2026-01-02 03:04:06,000 INFO training: epoch 1
error: out of memory; give more
2026-01-02 03:04:07,000 INFO training: tidied up
I0102 03:04:08.678901      16 launcher_v2.go:193] publish success.
F0102 03:04:08.678901      16 main.go:54] failed to execute component: exit status 1
time="2026-01-02T03:04:08.294Z" level=info msg="sub-process exited" argo=true error="<nil>"
Error: exit status 1
"""
DELETED = Task("Error", message="Error (exit code 143): pod deleted")
REFUSED = Task(
    driver="Error",
    driver_message='Internal error occurred: failed calling webhook "mutator.pod.katib.kubeflow.org": '
    "context deadline exceeded",
)


def test_failed_step_is_named_once_with_its_error_before_its_own_lines(platform: Platform, follow: Follow) -> None:
    failed = {**RUNNING, "run-pytorchjob": Task("Failed", attempts=3, message="Error (exit code 1)")}
    platform.api.pod_logs[pod_of("run-pytorchjob", 2)] = LOG
    told = follow(Moment("RUNNING", RUNNING), Moment("FAILED", failed))
    assert told.code == 1
    assert told.error.splitlines()[:-1] == [
        "run_pytorchjob failed: out of memory; give more",
        f"  end of its log (pod {pod_of('run-pytorchjob', 2)}):",
        "    2026-01-02 03:04:06,000 INFO training: epoch 1",
        "    2026-01-02 03:04:07,000 INFO training: tidied up",
    ]
    assert told.error.splitlines()[-1].startswith(
        f"error: the run failed; see {platform.endpoint}/_/pipeline/?ns={PROFILE}#"
    )


def test_causes_come_before_consequences_and_the_exit_task_last(platform: Platform, follow: Follow) -> None:
    tasks = {
        "cleanup": Task("Failed", message="Error (exit code 1)", ended="2026-01-02T03:00:00Z"),
        "run-pytorchjob": Task("Failed", retried=False, message="OOMKilled (exit code 137)"),
        "list-archives": Task("Failed", message="Error (exit code 2)", ended="2026-01-02T03:05:00Z"),
    }
    platform.api.archived_logs[pod_of("cleanup")] = "error: not allowed\n"
    told = follow(Moment("FAILED", tasks))
    assert told.error.splitlines()[:-1] == [
        "list_archives failed: Error (exit code 2)",
        "run_pytorchjob failed: OOMKilled (exit code 137)",
        "cleanup failed: not allowed",
    ]


def test_reason_for_a_pod_that_was_not_created_comes_from_the_workflow(follow: Follow) -> None:
    quota = 'pods "a" is forbidden: exceeded quota: compute, requested: cpu=4'
    told = follow(
        Moment("FAILED", {"run-pytorchjob": Task("Error", message=quota), "list-archives": Task(driver="Failed")})
    )
    assert f"run_pytorchjob failed: {quota}" in told.error.splitlines()
    assert "list_archives failed before its start" in told.error.splitlines()


def test_failed_driver_is_explained_from_its_log(platform: Platform, follow: Follow) -> None:
    platform.api.pod_logs[driver_of("list-archives")] = (
        "I0102 03:04:05.678901       8 main.go:108] input ComponentSpec:{\n}\n"
        "F0102 03:04:05.678901       8 main.go:79] driver.Container failed: no such parameter\n"
    )
    told = follow(Moment("FAILED", {"list-archives": Task(driver="Failed", driver_message="Error (exit code 1)")}))
    assert told.error.splitlines()[0] == (
        "list_archives failed before its start: driver.Container failed: no such parameter"
    )


def test_unknown_workflow_gives_step_names_and_a_kubectl_command(platform: Platform, follow: Follow) -> None:
    platform.faults["/apis/v1beta1/"] = [404] * 9
    told = follow(Moment("FAILED", {"run-pytorchjob": Task("Failed")}, error="of the run"))
    run_id = platform.api.runs[0]["run_id"]
    assert told.error.splitlines()[:-1] == [
        "of the run",
        "run_pytorchjob failed",
        f"logs: kubectl --namespace {PROFILE} get pods --selector pipeline/runid={run_id} "
        "--field-selector status.phase=Failed",
    ]


def test_cached_steps_are_shown_as_cached(follow: Follow) -> None:
    told = follow(Moment("SUCCEEDED", {"list-archives": Task(), "run-pytorchjob": Task(cached=True)}))
    assert "list_archives: succeeded" in told.out
    assert "run_pytorchjob: cached" in told.out


def test_pod_that_cannot_start_is_reported_once(follow: Follow, caplog: pytest.LogCaptureFixture) -> None:
    full = "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."
    waiting_pod = Moment("RUNNING", {**RUNNING, "run-pytorchjob": Task("Pending", message=full)})
    starting = Moment("RUNNING", {**RUNNING, "run-pytorchjob": Task("Pending", message="PodInitializing")})
    told = follow(waiting_pod, waiting_pod, waiting_pod, starting, starting, waiting_pod, Moment("SUCCEEDED"))
    assert told.code == 0
    assert warnings(caplog) == [f"run_pytorchjob waits: {full}"]


@pytest.mark.parametrize("lost", [DELETED, REFUSED], ids=["pod deleted", "driver refused"])
def test_run_interrupted_by_the_cluster_is_retried(platform: Platform, follow: Follow, lost: Task) -> None:
    failed = Moment("FAILED", {**RUNNING, "run-pytorchjob": lost})
    again = ("PENDING", "RUNNING", "FAILED", "RUNNING")
    succeeded = Moment("SUCCEEDED", history=again, finished="2026-01-02T05:00:00Z")
    platform.api.after_retry = [[failed, Moment("RUNNING", RUNNING, history=again[:-1]), succeeded]]
    told = follow(Moment("RUNNING", RUNNING), failed, retries=2)
    assert (told.code, platform.api.retries) == (0, 1)
    message = lost.message or lost.driver_message
    assert told.error == f"interrupted by the cluster (run_pytorchjob: {message}): retrying the run (1 of 2)\n"


def test_number_of_retries_is_limited(platform: Platform, follow: Follow) -> None:
    platform.api.after_retry = [
        [Moment("FAILED", {"run-pytorchjob": DELETED}, finished=f"2026-01-02T05:0{number}:00Z")] for number in range(2)
    ]
    told = follow(Moment("FAILED", {"run-pytorchjob": DELETED}), retries=2)
    assert (told.code, platform.api.retries) == (1, 2)
    assert told.error.splitlines()[-2] == "run_pytorchjob failed: Error (exit code 143): pod deleted"


@pytest.mark.parametrize(
    "tasks",
    [
        {"run-pytorchjob": Task("Failed", message="Error (exit code 1)")},
        {"run-pytorchjob": DELETED, "list-archives": Task("Failed")},
        {"run-pytorchjob": Task("Error", message="pods is forbidden: violates PodSecurity")},
    ],
)
def test_run_that_failed_on_its_own_is_not_retried(platform: Platform, follow: Follow, tasks: dict[str, Task]) -> None:
    told = follow(Moment("FAILED", tasks), retries=2)
    assert (told.code, platform.api.retries) == (1, 0)


def test_refused_retry_does_not_hide_the_failure(platform: Platform, follow: Follow) -> None:
    platform.api.retry_problems = [problem(500, "a pod is still running"), problem(400, "not allowed")]
    told = follow(Moment("FAILED", {"run-pytorchjob": DELETED}), retries=2)
    assert told.code == 1
    assert "the run could not be retried: " in told.error
    assert "run_pytorchjob failed: Error (exit code 143): pod deleted" in told.error


def test_retry_that_has_no_effect_ends_the_waiting(
    platform: Platform, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "RESTART_SECONDS", 0)
    told = follow(Moment("FAILED", {"run-pytorchjob": DELETED}), retries=1)
    assert (told.code, platform.api.retries) == (1, 1)


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (Moment("FAILED", history=("PENDING", "RUNNING", "CANCELING")), "the run was terminated by another user"),
        (Moment("CANCELED"), "the run was terminated by another user"),
        (Moment("RUNNING", deleted=True), "the run was deleted by another user"),
        (Moment("RUNNING", history=("RUNNING", "FAILED")), "the run failed and another user retried it"),
    ],
)
def test_changes_by_another_user_are_reported(platform: Platform, follow: Follow, last: Moment, text: str) -> None:
    told = follow(Moment("RUNNING", RUNNING), last, retries=2)
    assert (told.code, platform.api.retries) == (1, 0)
    assert told.error.splitlines()[-1].startswith(f"error: {text}")


def test_waiting_for_a_hanging_termination_ends(
    follow: Follow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "TERMINATION_SECONDS", 0.1)
    image = "ErrImagePull: not found"
    told = follow(Moment("CANCELING", {"cleanup": Task("Pending", message=image)}))
    assert told.code == 1
    assert "its exit task does not end" in told.error
    assert warnings(caplog) == [
        "another user is terminating the run; waiting for its exit task",
        f"cleanup waits: {image}",
    ]


@pytest.mark.parametrize("logs", [[], ["web page"] * 99], ids=["of the API", "of the pages alone"])
def test_waiting_ends_if_the_pods_are_gone(
    platform: Platform, follow: Follow, monkeypatch: pytest.MonkeyPatch, logs: list[Fault]
) -> None:
    platform.faults["/apis/v1alpha1/"] = logs
    monkeypatch.setattr(workflow_watch, "ABSENCE_INTERVAL", 0)
    told = follow(Moment("RUNNING", RUNNING))
    assert told.code == 1
    assert told.error.startswith(
        "error: the Workflow of the run was deleted by another user, so nothing of it runs any more"
    )
    platform.api.pod_logs[pod_of("run-pytorchjob")] = "epoch 1"
    assert follow(*[Moment("RUNNING", RUNNING)] * 9, Moment("SUCCEEDED")).code == 0


def test_errors_of_a_restarting_gateway_are_retried(
    platform: Platform, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    platform.faults["/apis/v2beta1/runs/"] = [403, 404, 403, "no right", "no login", "no login", "reset", 503]
    assert follow(Moment("SUCCEEDED")).code == 0
    said = warnings(caplog)
    assert len(said) == len(set(said)) == 6
    assert all(text.endswith("; retrying") for text in said)


def test_retries_of_a_request_end(platform: Platform, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_retry, "RETRY_SECONDS", 0.1)
    platform.faults["/apis/v2beta1/runs/"] = [403] * 1000
    with pytest.raises(PlatformError, match="refuses with 403"):
        follow(Moment("SUCCEEDED"))


def test_refusal_by_the_api_itself_is_retried(
    platform: Platform, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.faults["/apis/v2beta1/runs/"] = ["no permission", "no permission"]
    assert follow(Moment("SUCCEEDED")).code == 0
    monkeypatch.setattr(request_retry, "RETRY_SECONDS", 0.1)
    platform.faults["/apis/v2beta1/runs/"] = ["no permission"] * 1000
    with pytest.raises(PlatformError, match="not authorized"):
        follow(Moment("SUCCEEDED"))


def test_closed_deployment_gate_is_reported(platform: Platform, follow: Follow) -> None:
    platform.api.pod_logs[gate_driver()] = (
        "I0102 03:04:05.678901       8 main.go:329] output ExecutorInput:{\n"
        '  "inputs":  {\n    "parameterValues":  {\n      "backend":  "kubernetes",\n'
        '      "gate_reason":  "composite F1 0.41 must be at least 0.99 (0.58 too low); of \\"a\\"",\n'
        '      "gate_passed":  false,\n      "promotion_reason":  "the model does not pass the gate",\n'
        '      "headline":  "composite F1: 0.41 (95 %: 0.3 to 0.5)\\nalarms a day: 7",\n'
        '      "promoted":  false\n    }\n  }\n}\n'
    )
    told = follow(Moment("SUCCEEDED", {"list-archives": Task()}, gate_closed=True))
    assert told.code == 0
    lines = last_lines(told.out)
    assert lines["composite F1"] == "0.41 (95 %: 0.3 to 0.5)"
    assert lines["alarms a day"] == "7"
    assert lines["gate"] == 'failed: composite F1 0.41 must be at least 0.99 (0.58 too low); of "a"'
    assert lines["promotion"] == "refused: the model does not pass the gate"
    assert lines["model"] == "not deployed (output of calibrate)"
    assert lines["report"].startswith(f"{platform.endpoint}/_/pipeline/?ns={PROFILE}#")
    assert "query" not in lines
    platform.api.pod_logs.clear()
    lines = last_lines(follow(Moment("SUCCEEDED", {"list-archives": Task()}, gate_closed=True)).out)
    assert lines["promotion"] == "refused: the report says why"
    assert not {"gate", "composite F1"} & lines.keys()


def test_a_model_that_passes_the_gate_but_is_not_better_is_reported(platform: Platform, follow: Follow) -> None:
    platform.api.pod_logs[gate_driver()] = json.dumps(
        {
            **{"gate_passed": True, "gate_reason": "composite F1 0.5 is at least 0.3"},
            **{"promoted": False, "promotion_reason": "composite F1 0.5 against 0.6 of the deployed model"},
        }
    )
    lines = last_lines(follow(Moment("SUCCEEDED", {"list-archives": Task()}, gate_closed=True)).out)
    assert lines["gate"] == "passed: composite F1 0.5 is at least 0.3"
    assert lines["promotion"] == "refused: composite F1 0.5 against 0.6 of the deployed model"
    assert lines["model"] == "not deployed (output of calibrate)"


def test_deployed_model_is_told_with_the_way_to_query_it(platform: Platform, follow: Follow) -> None:
    story = Moment("SUCCEEDED", {"deploy-to-kserve": Task()})
    lines = last_lines(follow(story).out)  # the log of the gate's pod is gone
    assert {name: lines[name] for name in ("promotion", "model", "query")} == {
        "promotion": "promoted: the report says why",
        "model": "deployed (output of calibrate)",
        "query": "docs/serving.md says how",
    }
    platform.api.pod_logs[gate_driver()] = (
        '{"gate_reason": "composite F1 0.41 is at least 0.3", "service_name": "loop", "namespace": ""}'
    )
    lines = last_lines(follow(story).out)
    assert lines["gate"] == "passed: composite F1 0.41 is at least 0.3"
    assert lines["promotion"] == "promoted: the report says why"
    assert lines["model"] == f"deployed as loop in namespace {PROFILE} (output of calibrate)"
    assert f"query_model --url {platform.endpoint}/serving/{PROFILE}/loop --model-name loop --input" in lines["query"]


def last_lines(text: str) -> dict[str, str]:
    """Return the lines after the end of the run by their names."""
    lines = text.partition("the run succeeded\n")[2].splitlines()
    return {name: text for name, _, text in (line.strip().partition("  ") for line in lines)}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings that were logged."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

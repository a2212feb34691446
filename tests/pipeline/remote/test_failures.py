from pipeline.remote.failures import interruptions, split_log
from pipeline.remote.workflow import read_workflow
from tests.pipeline.remote.argo import Task, manifest


def test_error_of_the_step_is_found_anywhere_in_the_log() -> None:
    assert split_log("error: first\nerror: last; fix it\nlog\n") == (
        "last; fix it",
        ["error: first", "error: last; fix it", "log"],
    )


def test_error_of_the_launcher_is_used_if_the_step_has_none() -> None:
    log = (
        "metrics written\n"
        "E0102 03:04:05.678901      16 launcher_v2.go:867] All upload attempts failed: no such host\n"
        "F0102 03:04:05.678901      16 main.go:54] failed to execute component: exit status 1\n"
        "Error: exit status 1\n"
    )
    assert split_log(log) == ("All upload attempts failed: no such host", ["metrics written"])


def test_own_lines_of_the_step_are_never_filtered() -> None:
    own = ["Error: exit status unknown", "I0102 is a channel", 'time="now" level=info msg="hello"']
    assert split_log("\n".join(own)) == ("", own)


def test_only_faults_of_the_cluster_are_interruptions() -> None:
    deleted = Task("Error", message="pod deleted")
    assert interruptions(None) == []
    assert interruptions(read_workflow(manifest("1", {"fit-scaler": Task()}))) == []
    assert interruptions(read_workflow(manifest("1", {"fit-scaler": deleted}))) == ["fit_scaler: pod deleted"]
    consequence = {"fit-scaler": deleted, "cleanup": Task("Failed", message="Error (exit code 1)")}
    assert interruptions(read_workflow(manifest("1", consequence))) == ["fit_scaler: pod deleted"]
    cause = {"fit-scaler": deleted, "run-evaluation": Task("Failed", message="pod deleted")}
    assert interruptions(read_workflow(manifest("1", cause))) == []
    assert interruptions(read_workflow(manifest("1", {"cleanup": deleted}))) == ["cleanup: pod deleted"]

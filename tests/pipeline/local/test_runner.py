"""Local runs of small pipelines, with real processes."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from kfp import local
from kfp.local import config

from container_component_src.errors import InputError
from container_component_src.processes import is_running
from pipeline.local import RunStatus, RunSummary
from tests.pipeline import local_pipelines
from tests.pipeline.local.conftest import Bench

pytestmark = pytest.mark.slow  # many of these tests start processes or wait

ROOT = Path(__file__).resolve().parents[3]


def states(summary: RunSummary) -> dict[str, str]:
    return {step.name: str(step.state) for step in summary.steps}


ALL_RUN = {
    "list_archives": "succeeded",
    "split_parquet_file [0]": "succeeded",
    "split_parquet_file [1]": "succeeded",
    "train": "succeeded",
    "deploy_to_kserve": "succeeded",
    "clean_up": "succeeded",
}
CACHED = {"split_parquet_file [0]": "cached", "split_parquet_file [1]": "cached", "train": "cached"}


def test_loop_collected_outputs_gate_and_exit_task_run(bench: Bench) -> None:
    summary = bench.run(local_pipelines.whole)
    assert states(summary) == ALL_RUN
    assert list(states(summary)) == list(ALL_RUN)
    assert summary.status is RunStatus.SUCCEEDED
    assert summary.exit_code == 0
    assert summary.deployed
    assert summary.metrics == {"metrics": {"f1": 0.75}}
    assert summary.model is not None
    assert Path(summary.model).read_text() == "['archives/2021 f2021', 'archives/2022 f2022']"
    assert summary.report == bench.last_run / "report.html"
    assert summary.report.read_text() == "<html>report</html>"
    assert (bench.work_dir / "last_run" / "logs" / "deploy_to_kserve.log").read_text().startswith("deploying [")
    assert {step.log.name for step in summary.steps if step.log} >= {
        "split_parquet_file-0.log",
        "split_parquet_file-1.log",
    }


def test_steps_run_in_containers_of_one_image(
    bench: Bench, engine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.items():
        monkeypatch.setenv(name, value)
    summary = bench.run(local_pipelines.whole, image="image:tag")
    assert (summary.status, states(summary)) == (RunStatus.SUCCEEDED, ALL_RUN)
    calls = [json.loads(line) for line in Path(engine["CALLS"]).read_text().splitlines()]
    started = [call[call.index("run") :] for call in calls if "run" in call]
    assert len(started) == len(ALL_RUN)
    assert all("sha256:1" in call and "image:tag" not in call for call in started)


def test_step_that_cannot_be_started_is_explained(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr("pipeline.local.processes.ProcessLauncher.run", run)
    summary = bench.run(local_pipelines.forgetful)
    assert (summary.status, summary.steps[0].message) == (RunStatus.FAILED, "no such thing")
    assert "forget failed: no such thing" in bench.shown


def test_summary_file_holds_the_outcome(bench: Bench) -> None:
    summary = bench.run(local_pipelines.whole)
    document = bench.document()
    assert {key: document[key] for key in ("status", "pipeline", "deployed")} == {
        "status": "succeeded",
        "pipeline": "whole",
        "deployed": True,
    }
    assert document["metrics"] == {"metrics": {"f1": 0.75}}
    assert (document["report"], document["model"]) == (str(summary.report), summary.model)
    assert (document["artifacts"]["report"], document["artifacts"]["model"]) == (document["report"], summary.model)
    assert document["earlier_report"] is None
    assert [step["name"] for step in document["steps"]] == list(ALL_RUN)
    assert all(step["status"] == "succeeded" and not step["cached"] for step in document["steps"])
    assert all(step["seconds"] > 0 and Path(step["log"]).exists() for step in document["steps"])


def test_second_run_uses_the_cache_except_for_uncached_steps(bench: Bench) -> None:
    first = bench.run(local_pipelines.whole)
    logs = {step.name: step.log.read_text() for step in first.steps if step.log}
    bench.calls()
    summary = bench.run(local_pipelines.whole)
    assert states(summary) == ALL_RUN | CACHED
    assert bench.calls() == ["clean_up", "deploy", "list"]
    assert summary.metrics == {"metrics": {"f1": 0.75}}
    assert (summary.report, first.report) == (summary.folder / "report.html", first.folder / "report.html")
    before = {step.name: step for step in first.steps}
    for step in summary.steps:  # a cached step has the log and the figures of when it ran
        if step.state == "cached":
            assert step.seconds == pytest.approx(before[step.name].seconds, abs=0.5)
            assert step.seconds > 0
            assert step.peak_rss_mib == before[step.name].peak_rss_mib
            assert step.log
            assert (step.log.parent, step.log.read_text()) == (summary.folder / "logs", logs[step.name])
            assert f"{step.name}: cached (took " in bench.shown
    assert [step["cached"] for step in bench.document()["steps"]] == [False, True, True, True, False, False]


def test_caching_can_be_switched_off(bench: Bench) -> None:
    bench.run(local_pipelines.whole)
    assert states(bench.run(local_pipelines.whole, cache=False)) == ALL_RUN


@pytest.mark.parametrize("changed", ["container_component_src/helper.py", "requirements.txt", "poetry.lock"])
def test_changed_source_or_lock_invalidates_the_cache(bench: Bench, changed: str) -> None:
    bench.run(local_pipelines.whole)
    (bench.project / changed).write_text("changed = 1\n")
    assert states(bench.run(local_pipelines.whole)) == ALL_RUN
    assert len(list((bench.work_dir / "cache").iterdir())) == 1


def test_cache_entry_without_its_artifact_is_not_used(bench: Bench) -> None:
    first = bench.run(local_pipelines.whole)
    shutil.rmtree(first.steps[1].outputs["uri"])
    second = states(bench.run(local_pipelines.whole))
    assert second["split_parquet_file [0]"] == "succeeded"
    assert second["split_parquet_file [1]"] == "cached"
    assert second["train"] == "succeeded"


def test_steps_of_a_branch_not_taken_are_skipped(bench: Bench) -> None:
    summary = bench.run(local_pipelines.whole, arguments={"threshold": "0.8"})
    assert states(summary) == ALL_RUN | {"deploy_to_kserve": "skipped"}
    assert summary.status is RunStatus.SUCCEEDED
    assert not summary.deployed
    assert "deploy_to_kserve: skipped" in bench.shown


def test_failed_step_is_explained_and_the_exit_task_still_runs(bench: Bench) -> None:
    summary = bench.run(local_pipelines.failing)
    assert states(summary) == {"fail": "failed", "deploy_to_kserve": "skipped", "clean_up": "succeeded"}
    assert (summary.status, summary.exit_code) == (RunStatus.FAILED, 1)
    assert "fail failed: error: no channel in the archive: choose another (exit code 2)" in bench.shown
    assert "a late line" in bench.shown
    assert str(bench.last_run / "logs" / "fail.log") in bench.shown
    assert bench.document()["status"] == "failed"


def test_partial_outputs_of_a_failed_step_are_removed(bench: Bench) -> None:
    bench.run(local_pipelines.failing)
    assert [path.read_text() for path in bench.work_dir.glob("outputs/*/fail/model")] == ["partial"]
    bench.calls()
    assert states(bench.run(local_pipelines.failing))["fail"] == "failed"
    assert bench.calls() == ["fail"]
    assert len(list(bench.work_dir.glob("outputs/*/fail/model"))) == 1


def test_retries_are_left_to_the_cluster(bench: Bench) -> None:
    assert states(bench.run(local_pipelines.retrying)) == {"fail": "failed"}
    assert bench.calls() == ["fail"]


def test_caching_is_set_per_task_in_a_nested_loop(bench: Bench) -> None:
    bench.run(local_pipelines.half_cached)
    assert states(bench.run(local_pipelines.half_cached)) == {
        "list_archives": "cached",
        "clean_up [0]": "succeeded",
        "clean_up [1]": "succeeded",
        "clean_up_2 [0]": "cached",
        "clean_up_2 [1]": "cached",
    }


def test_step_that_leaves_an_output_unwritten_fails(bench: Bench) -> None:
    summary = bench.run(local_pipelines.forgetful)
    assert states(summary) == {"forget": "failed"}
    assert "without writing its output 'number'" in summary.steps[0].message
    assert states(bench.run(local_pipelines.forgetful)) == {"forget": "failed"}


def test_condition_that_kfp_cannot_resolve_fails_the_run(bench: Bench) -> None:
    summary = bench.run(local_pipelines.direct_condition)
    assert summary.status is RunStatus.FAILED
    assert states(summary) == {"train": "succeeded", "deploy_to_kserve": "skipped"}
    assert "cannot be evaluated locally" in summary.message
    assert "nested pipeline" in bench.shown


def test_float_compared_with_a_whole_number_is_evaluated(bench: Bench) -> None:
    assert states(bench.run(local_pipelines.whole_number)) == {"train": "succeeded", "deploy_to_kserve": "succeeded"}


def test_outputs_of_old_runs_are_removed(bench: Bench) -> None:
    for number in range(6):
        bench.run(local_pipelines.whole, arguments={"prefix": f"p{number}"})
    outputs = bench.work_dir / "outputs"
    assert len({path.relative_to(outputs).parts[0] for path in outputs.glob("*/**/rows.txt")}) <= 4
    assert states(bench.run(local_pipelines.whole, arguments={"prefix": "p5"})) == ALL_RUN | CACHED
    assert states(bench.run(local_pipelines.whole, arguments={"prefix": "p0"})) == ALL_RUN


@pytest.mark.parametrize("stopped", ["failed", "killed"])
def test_a_run_that_is_not_finished_keeps_the_report_of_an_earlier_one(stopped: str, bench: Bench) -> None:
    report = bench.run(local_pipelines.whole).report
    assert report
    if stopped == "killed":
        assert _interrupted(bench, signal.SIGKILL)[0] == -signal.SIGKILL
        assert not (bench.last_run / "summary.json").exists()
    else:
        summary = bench.run(local_pipelines.failing)
        assert (summary.report, summary.earlier_report) == (None, report)
        document = bench.document()
        assert (document["report"], document["earlier_report"]) == (None, str(report))
        assert f"report  {report} (of an earlier run, 20" in bench.shown
    assert report.read_text() == "<html>report</html>"
    assert not (bench.last_run / "report.html").exists()


def test_every_run_keeps_its_report_and_logs_until_newer_ones_push_it_out(bench: Bench) -> None:
    deployed = bench.run(local_pipelines.whole)
    first, second, third = (
        bench.run(local_pipelines.whole, arguments={"threshold": "0.8"}, kept_runs=2) for _ in "123"
    )
    assert [summary.folder.exists() for summary in (first, second, third)] == [False, True, True]
    assert f"removed  report and logs of {first.folder.name} ([paths] kept_runs" in bench.shown
    assert bench.last_run == third.folder
    for summary in (deployed, second, third):  # the last one that was deployed stays, too
        assert summary.report and summary.report.is_file()
        assert all(step.log and step.log.is_file() for step in summary.steps if step.state != "skipped")


def test_the_model_of_a_run_that_stays_outlives_the_cache(bench: Bench) -> None:
    model = bench.run(local_pipelines.whole).model
    (bench.project / "requirements.txt").write_text("changed\n")
    bench.run(local_pipelines.failing)
    assert model and Path(model).exists()


def test_without_a_cache_entry_of_this_release_a_cached_step_has_no_figures(bench: Bench) -> None:
    bench.run(local_pipelines.whole)
    for log in bench.work_dir.glob("cache/*/*.log"):
        entry = log.with_suffix(".json")
        entry.write_text(json.dumps({k: v for k, v in json.loads(entry.read_text()).items() if k != "step figures"}))
        log.unlink()
    assert states(bench.run(local_pipelines.whole)) == ALL_RUN | CACHED


def test_invalid_arguments_do_not_change_the_last_run(bench: Bench) -> None:
    bench.run(local_pipelines.whole)
    with pytest.raises(InputError, match=r"unknown pipeline parameter 'treshold'.*threshold"):
        bench.run(local_pipelines.whole, arguments={"treshold": "1"})
    assert bench.document()["status"] == "succeeded"


def test_old_summary_is_removed_before_the_first_step(bench: Bench) -> None:
    bench.run(local_pipelines.whole)
    (bench.project / "container_component_src" / "step.py").write_text(
        f"import os, sys; sys.exit(os.path.exists({str(bench.work_dir / 'last_run' / 'summary.json')!r}) * 9 + 1)"
    )
    summary = bench.run(local_pipelines.whole)
    assert "exit code 1)" in summary.steps[0].message


def test_directory_in_use_is_refused(bench: Bench) -> None:
    bench.run(local_pipelines.forgetful)
    holder = (
        "import fcntl, sys, time; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, bench.work_dir / ".lock"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(InputError, match="another local run"):
            bench.run(local_pipelines.forgetful)
        process.kill()


def test_steps_see_the_given_environment_and_this_interpreter(bench: Bench) -> None:
    (bench.project / "container_component_src" / "step.py").write_text(
        "import os, sys\n"
        "print(*map(os.environ.get, ('EXTRA', 'PYTHONUNBUFFERED', 'GOMP_SPINCOUNT')), sys.prefix, os.getcwd())\n"
        "sys.exit(1)"
    )
    summary = bench.run(local_pipelines.forgetful, env={"EXTRA": "given"})
    assert summary.steps[0].message == f"given 1 10000 {sys.prefix} {bench.project} (exit code 1)"


def test_scratch_folders_of_killed_steps_are_removed(bench: Bench) -> None:
    (bench.project / "container_component_src" / "step.py").write_text(
        "import os, signal, tempfile\n"
        "print(tempfile.mkdtemp(prefix=f'eclss-{os.environ[\"PIPELINE_RUN_ID\"]}-'), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    summary = bench.run(local_pipelines.forgetful)
    folder = summary.steps[0].message.removesuffix(" (signal 9)")
    assert Path(folder).name.startswith("eclss-")
    assert not Path(folder).exists()


def test_run_restores_logging_signals_and_kfp(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    before = (logging.getLogger().handlers[:], signal.getsignal(signal.SIGINT), config.LocalExecutionConfig.instance)
    bench.run(local_pipelines.whole)
    after = (logging.getLogger().handlers[:], signal.getsignal(signal.SIGINT), config.LocalExecutionConfig.instance)
    assert after == before
    assert local.subprocess_task_handler.SubprocessTaskHandler.__module__ == "kfp.local.subprocess_task_handler"
    assert capsys.readouterr().out == ""
    assert "Executing task" in (bench.work_dir / "last_run" / "logs" / "kfp.log").read_text()


RUN = """
import sys
from pathlib import Path
from container_component_src.processes import is_running
from pipeline.local import LocalRunOptions, run_locally
yaml_path, work_dir, project = map(Path, sys.argv[1:])
sys.exit(run_locally(LocalRunOptions(yaml_path, {}, work_dir, project_root=project, grace_seconds=1)).exit_code)
"""


def _interrupted(bench: Bench, number: signal.Signals) -> tuple[int, str, list[psutil.Process]]:
    """Send a signal to a run whose steps hang; return its exit code and output, and the processes that it had."""
    yaml_path = local_pipelines.compiled(local_pipelines.hanging, bench.directory)
    command = [sys.executable, "-c", RUN, str(yaml_path), str(bench.work_dir), str(bench.project)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        files = [bench.project / f"pids_a_{year}.txt" for year in (2021, 2022)]
        deadline = time.monotonic() + 60
        while not all(file.exists() and file.read_text() for file in files) and time.monotonic() < deadline:
            time.sleep(0.1)
        pids = {int(pid) for file in files for pid in file.read_text().split()}
        descendants = psutil.Process(process.pid).children(recursive=True)
        assert len(descendants) == 5  # two steps, what each has started, and the watchdog
        assert pids < {descendant.pid for descendant in descendants}
        os.kill(process.pid, number)
        shown, _ = process.communicate(timeout=60)
    return process.returncode, shown, descendants


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_leaves_no_process_behind(bench: Bench, number: signal.Signals) -> None:
    code, shown, descendants = _interrupted(bench, number)
    assert code == 130, shown
    assert [process for process in descendants if is_running(process)] == []
    document = bench.document()
    assert document["status"] == "interrupted"
    assert {step["name"]: step["status"] for step in document["steps"]} == {
        "list_archives": "succeeded",
        "hang [0]": "interrupted",
        "hang [1]": "interrupted",
        "clean_up": "skipped",
    }


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_no_process_behind(bench: Bench) -> None:
    code, _, descendants = _interrupted(bench, signal.SIGKILL)
    assert code == -signal.SIGKILL
    _, alive = psutil.wait_procs(descendants, timeout=60)
    assert alive == []

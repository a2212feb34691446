import re
from pathlib import Path

import pytest
import yaml

from container_component_src.settings import load_settings
from pipeline.remote.workflow import read_workflow
from tests.pipeline.compiled import compile_once
from tests.pipeline.remote.argo import TASK_PATHS, WORKFLOW, Task, driver_of, manifest, pod_of

PROJECT = Path(__file__).resolve().parents[3]


def test_pods_are_named_after_workflow_template_and_node() -> None:
    tasks = {"fit-scaler": Task(attempts=2), "cleanup": Task("Running")}
    pods = {(node.step, node.is_driver): node.pod for node in read_workflow(manifest("1", tasks)).pods()}
    assert pods["fit_scaler", False] == pod_of("fit-scaler", 1)
    assert pods["fit_scaler", True] == driver_of("fit-scaler")
    assert pods["cleanup", False] == pod_of("cleanup")
    assert pods["fit_scaler", False].startswith(f"{WORKFLOW}-metadata-0-1-retry-system-container-impl-")


def test_pods_may_have_the_names_of_their_nodes() -> None:
    old = manifest("1", {"fit-scaler": Task()})
    old["metadata"]["annotations"]["workflows.argoproj.io/pod-name-format"] = "v1"
    assert all(node.pod == node.node_id for node in read_workflow(old).pods())


def test_failures_are_last_attempts_with_the_exit_task_at_the_end() -> None:
    tasks = {
        "cleanup": Task("Failed", ended="2026-01-02T03:00:00Z"),
        "fit-scaler": Task("Succeeded", attempts=3),
        "run-evaluation": Task("Failed", attempts=11, ended="2026-01-02T03:05:00Z"),
        "split-parquet-file": Task("Failed", ended="2026-01-02T03:04:00Z"),
    }
    failures = read_workflow(manifest("1", tasks)).failures()
    assert [node.step for node in failures] == ["split_parquet_file", "run_evaluation", "cleanup"]
    assert failures[1].name.endswith("executor(10)")


def test_task_is_cached_if_none_of_its_iterations_ran() -> None:
    tasks = {"fit-scaler": Task(cached=True), "split-parquet-file": Task(cached=True), "run-evaluation": Task()}
    whole = manifest("1", tasks)
    assert read_workflow(whole).cached_tasks() == {"fit-scaler", "split-parquet-file"}
    iteration = next(
        node
        for node in whole["status"]["nodes"].values()
        if "split-parquet" in node["name"] and ".executor" in node["name"]
    )
    ran = {
        **iteration,
        "id": "other",
        "name": iteration["name"].replace("(0:0)", "(1:1)"),
        "type": "Retry",
        "phase": "Succeeded",
    }
    whole["status"]["nodes"]["other"] = ran
    assert read_workflow(whole).cached_tasks() == {"fit-scaler"}


@pytest.mark.parametrize("nothing", [{}, {"status": {}}, {"status": {"nodes": None}}])
def test_workflow_may_have_no_nodes(nothing: dict[str, object]) -> None:
    assert read_workflow({"metadata": {"name": "new"}, **nothing}).nodes == ()


def test_paths_match_the_compiled_pipeline(tmp_path: Path) -> None:
    """The names in the product and in the simulated Workflow are those of the compiled pipeline."""
    compile_once(load_settings(PROJECT / "config.toml"), tmp_path / "pipeline.yaml")
    spec, _ = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    for task, path in TASK_PATHS.items():
        dag = spec["root"]["dag"]
        names = [re.sub(r"\(.*\)$", "", name) for name in path.split(".")[1:]]
        for name in names:
            if name not in {"onExit", "iteration-item"}:
                parent, dag = dag, spec["components"][dag["tasks"][name]["componentRef"]["name"]]["dag"]
        assert task in (parent if "onExit" in names else dag)["tasks"]
    steps = spec["components"][spec["root"]["dag"]["tasks"]["exit-handler-1"]["componentRef"]["name"]]["dag"]["tasks"]
    given = steps["deploy-if-good"]["inputs"]["parameters"]
    for name, producer, key in (
        ("gate_passed", "check-gate", "passed"),
        ("gate_reason", "check-gate", "reason"),
        ("promotion_reason", "compare-models", "promotion_reason"),
        ("headline", "run-evaluation", "headline"),
    ):
        assert given[name] == {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": key}}
    assert {"service_name", "namespace"} <= given.keys()

"""Assumptions of the local runner about kfp's private parts; a failure names the part that kfp has changed."""

import inspect
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from kfp.local import cache, executor_input_utils, io, logging_utils, subprocess_task_handler, task_dispatcher
from kfp.local.orchestrator import dag_orchestrator, enhanced_dag_orchestrator, task_executor

from container_component_src.errors import StepError
from pipeline.local import kfp_hooks
from pipeline.local.kfp_hooks import StepRunner
from pipeline.local.processes import ProcessLauncher
from pipeline.steps import StepBoard

EXPECTED = [
    (
        task_executor.execute_single_task,
        "task_name task_spec pipeline_resource_name components executors io_store pipeline_root runner "
        "unique_pipeline_id fail_stack",
    ),
    (
        task_dispatcher.run_single_task_implementation,
        "pipeline_resource_name component_name component_spec executor_spec arguments pipeline_root runner "
        "raise_on_error block_input_artifact unique_pipeline_id",
    ),
    (
        subprocess_task_handler.SubprocessTaskHandler.__init__,
        "self image full_command pipeline_root runner env_vars",
    ),
    (subprocess_task_handler.SubprocessTaskHandler.run, "self"),
    (subprocess_task_handler.SubprocessTaskHandler.validate_image, "self image"),
    (subprocess_task_handler.SubprocessTaskHandler.validate_not_container_component, "self full_command"),
    (enhanced_dag_orchestrator.ConditionEvaluator.evaluate_condition, "condition io_store"),
    (cache.LocalCache.get, "self key"),
    (cache.LocalCache._entry_path, "self key"),
    (logging_utils.local_logger_context, ""),
    (logging_utils.indented_print, "num_spaces"),
    (logging_utils.print_horizontal_line, ""),
    (executor_input_utils.construct_local_task_root, "pipeline_root pipeline_resource_name task_resource_name"),
    (executor_input_utils.get_local_task_resource_name, "component_name"),
]


@pytest.mark.parametrize(("function", "parameters"), EXPECTED, ids=lambda value: getattr(value, "__qualname__", ""))
def test_kfp_keeps_its_private_signatures(function: Any, parameters: str) -> None:
    found = " ".join(inspect.signature(function).parameters)
    assert found == parameters, (
        f"kfp changed {function.__module__}.{function.__qualname__}({parameters}) to ({found}): "
        "adapt pipeline/local/kfp_hooks.py"
    )


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        (dag_orchestrator, "task_executor.execute_single_task("),
        (enhanced_dag_orchestrator, "task_executor.execute_single_task("),
        (enhanced_dag_orchestrator, "ConditionEvaluator()"),
        (task_executor, "task_dispatcher.run_single_task_implementation("),
        (task_executor, "cache_module.get_local_cache("),
        (task_dispatcher, "subprocess_task_handler.SubprocessTaskHandler"),
        (task_dispatcher, "logging_utils.local_logger_context("),
        (cache, "LocalCache(cache_root="),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_kfp_looks_the_replaced_names_up_when_it_calls_them(caller: ModuleType, call: str) -> None:
    assert call in inspect.getsource(caller), (
        f"{caller.__name__} no longer calls {call}…): adapt pipeline/local/kfp_hooks.py"
    )


def runner(directory: Path) -> StepRunner:
    return StepRunner(StepBoard([], lambda record: None), ProcessLauncher(directory, {}), directory)


def test_replacements_end_with_the_context(tmp_path: Path) -> None:
    evaluator = enhanced_dag_orchestrator.ConditionEvaluator
    original = evaluator.evaluate_condition
    with runner(tmp_path).installed():
        assert evaluator.evaluate_condition is not original
    assert evaluator.evaluate_condition is original
    assert isinstance(vars(evaluator)["evaluate_condition"], staticmethod)


def test_kfp_without_one_of_the_names_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kfp_hooks, "task_dispatcher", ModuleType("kfp.local.task_dispatcher"))
    original = task_executor.execute_single_task
    with (
        pytest.raises(StepError, match=r"no kfp\.local\.task_dispatcher\.run_single_task_implementation"),
        runner(tmp_path).installed(),
    ):
        pass
    assert task_executor.execute_single_task is original


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("inputs.parameter_values['pipelinechannel--f1'] >= 0.5", True),
        ("inputs.parameter_values['pipelinechannel--f1'] >= double(1)", False),
        ("double(int(inputs.parameter_values['pipelinechannel--n'])) >= 3.0", True),
        ("inputs.parameter_values['pipelinechannel--flag'] == true", False),
        ("!(inputs.parameter_values['pipelinechannel--flag'] == true)", True),
    ],
)
def test_conditions_on_inputs_are_evaluated(tmp_path: Path, condition: str, holds: bool) -> None:
    store = io.IOStore()
    for name, value in {"f1": 0.75, "n": 3, "flag": False}.items():
        store.put_parent_input(name, value)
    with runner(tmp_path).installed():
        evaluate = enhanced_dag_orchestrator.ConditionEvaluator().evaluate_condition
        assert evaluate(condition, store) is holds


@pytest.mark.parametrize("condition", ["inputs.parameter_values['pipelinechannel--train-f1'] >= 0.5", "size('a') > 0"])
def test_condition_that_cannot_be_evaluated_is_an_error(tmp_path: Path, condition: str) -> None:
    hooks = runner(tmp_path)
    with hooks.installed(), pytest.raises(StepError, match="cannot be evaluated locally"):
        enhanced_dag_orchestrator.ConditionEvaluator().evaluate_condition(condition, io.IOStore())
    assert len(hooks.problems) == 1


def test_missing_outputs_are_errors(tmp_path: Path) -> None:
    definitions = SimpleNamespace(parameters=["f1"], artifacts=["metrics", "model"])
    metrics = SimpleNamespace(uri=str(tmp_path / "metrics"), schema_title="system.Metrics", metadata={"f1": 1.0})
    model = SimpleNamespace(uri=str(tmp_path / "model"), schema_title="system.Model", metadata={})
    with pytest.raises(StepError, match="without writing its output 'f1'"):
        kfp_hooks._check_outputs(definitions, {"metrics": metrics, "model": model})
    with pytest.raises(StepError, match="without writing its output artifact 'model'"):
        kfp_hooks._check_outputs(definitions, {"f1": 1.0, "metrics": metrics, "model": model})
    Path(model.uri).mkdir()
    kfp_hooks._check_outputs(definitions, {"f1": 1.0, "metrics": metrics, "model": model})
    assert Path(metrics.uri).read_text() == '{"f1": 1.0}'

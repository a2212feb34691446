"""The one place that reaches into kfp.local: it runs container components as processes and reports every step.

kfp.local has no public extension point for this, so names inside it are replaced while a run lasts: the task handler of
SubprocessRunner (which refuses container components), the two functions that every task passes through, the evaluation
of conditions (which takes what it cannot resolve for false), the cache (which does not tell when an entry was used) and
three logging helpers (which rewire the root logger and `print` from several threads at once).
"""

import contextlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import json_format
from kfp import dsl
from kfp.local import cache, executor_input_utils, logging_utils, subprocess_task_handler, task_dispatcher
from kfp.local.orchestrator import enhanced_dag_orchestrator, task_executor
from kfp.local.status import Status

from container_component_src.errors import PipelineError, StepError
from pipeline.local.processes import ProcessLauncher, RunInterruptedError, last_lines
from pipeline.steps import StepBoard, StepRecord, StepState

METRICS_TYPES = {
    artifact.schema_title for artifact in (dsl.Metrics, dsl.ClassificationMetrics, dsl.SlicedClassificationMetrics)
}
_STEP_ERRORS = (PipelineError, ValueError, LookupError, OSError, RuntimeError, json_format.Error)


class StepRunner:
    """Takes the place of kfp.local's private parts while a pipeline runs.

    Args:
        board: Told of every step.
        launcher: Runs the commands of the steps.
        logs: Directory of the log files of the steps.
    """

    def __init__(self, board: StepBoard, launcher: ProcessLauncher, logs: Path) -> None:
        self.problems: list[str] = []
        self._board = board
        self._launcher = launcher
        self._logs = logs
        self._current = threading.local()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Replace kfp.local's parts by this object's for the duration of the context.

        Raises:
            StepError: The installed kfp lacks one of the names.
        """
        condition = enhanced_dag_orchestrator.ConditionEvaluator
        replacements: list[tuple[ModuleType | type, str, Callable[[Any], object]]] = [
            (subprocess_task_handler, "SubprocessTaskHandler", lambda _: partial(ContainerTaskHandler, self)),
            (task_executor, "execute_single_task", lambda original: partial(self._execute, original)),
            (task_dispatcher, "run_single_task_implementation", lambda original: partial(self._run, original)),
            (condition, "evaluate_condition", lambda original: staticmethod(partial(self._evaluate, original))),
            (cache, "LocalCache", lambda _: RecencyCache),
            (logging_utils, "local_logger_context", lambda _: contextlib.nullcontext),
            (logging_utils, "indented_print", lambda _: contextlib.nullcontext),
            (logging_utils, "print_horizontal_line", lambda _: _nothing),
        ]
        with contextlib.ExitStack() as stack:
            for owner, name, make in replacements:
                if name not in vars(owner):
                    raise StepError(f"kfp has no {owner.__name__}.{name}: install the kfp release in requirements.txt")
                original = vars(owner)[name]
                stack.callback(setattr, owner, name, original)
                setattr(owner, name, make(getattr(owner, name)))
            yield

    def run_command(self, command: Sequence[str], env: dict[str, str]) -> bool:
        """Run the command of the task that the calling thread is in; True if it succeeded."""
        record: StepRecord = self._current.record
        log = self._logs / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', record.name).strip('-')}.log"
        log.touch()  # there to be shown, whatever becomes of the command
        self._board.start(record, log)
        result = self._launcher.run(command, log, env)
        peaks = [peak for peak in (record.peak_rss_mib, result.peak_rss_mib) if peak is not None]
        record.peak_rss_mib = max(peaks, default=None)
        if result.exit_code != 0:
            record.message = _explain_exit(result.exit_code, log)
        return result.exit_code == 0

    def _execute(self, original: Callable[..., tuple[dict[str, Any], Status]], **task: Any) -> tuple[Any, Status]:
        """Stand in for `execute_single_task`: cache lookup, attempts and outputs of one task."""
        if self._launcher.interrupted:
            return {}, Status.FAILURE
        record = self._board.find(task["task_spec"].component_ref.name, task["pipeline_resource_name"])
        self._current.record = record
        try:
            outputs, status = original(**task)
        except RunInterruptedError:
            self._board.finish(record, StepState.INTERRUPTED)
            return {}, Status.FAILURE
        except _STEP_ERRORS as error:
            self._board.finish(record, StepState.FAILED, " ".join(str(error).split()))
            return {}, Status.FAILURE
        record.outputs = outputs
        if status is not Status.SUCCESS:
            self._board.finish(record, StepState.FAILED, record.message)
        else:
            # Whatever was not in the cache has been started by run_command.
            self._board.finish(record, StepState.CACHED if record.began is None else StepState.SUCCEEDED)
        return outputs, status

    def _run(self, original: Callable[..., tuple[dict[str, Any], Status]], **task: Any) -> tuple[Any, Status]:
        """Stand in for `run_single_task_implementation`: a task, before anything goes into the cache."""
        root = executor_input_utils.construct_local_task_root(
            pipeline_root=task["pipeline_root"],
            pipeline_resource_name=task["pipeline_resource_name"],
            task_resource_name=executor_input_utils.get_local_task_resource_name(task["component_name"]),
        )
        Path(root).mkdir(parents=True)
        outputs, status = original(**task)
        if status is Status.SUCCESS:
            _check_outputs(task["component_spec"].output_definitions, outputs)
        return outputs, status

    def _evaluate(self, original: Callable[..., bool], condition: str, io_store: Any) -> bool:
        """Stand in for `evaluate_condition`: what kfp.local cannot evaluate is an error, not false."""
        with _warnings_of_this_thread() as warnings:
            holds = original(condition=condition.replace("double(", "float("), io_store=io_store)
        if warnings:
            problem = (
                f"the condition {condition} cannot be evaluated locally ({'; '.join(warnings)}): "
                "put it into a nested pipeline that takes the compared values as inputs"
            )
            self.problems.append(problem)
            raise StepError(problem)
        return bool(holds)


class ContainerTaskHandler(subprocess_task_handler.SubprocessTaskHandler):
    """Runs a container component's command as a process of this machine; the image is ignored.

    Args:
        step_runner: Runs the command.
        task: The arguments of SubprocessTaskHandler.
    """

    def __init__(self, step_runner: StepRunner, **task: Any) -> None:
        super().__init__(**task)
        self._step_runner = step_runner

    def validate_image(self, image: str) -> None:
        """Accept any image."""

    def validate_not_container_component(self, full_command: list[str]) -> None:
        """Accept container components."""

    def run(self) -> Status:
        """Run the command to its end."""
        succeeded = self._step_runner.run_command(self.full_command, self.env_vars)
        return Status.SUCCESS if succeeded else Status.FAILURE


class RecencyCache(cache.LocalCache):
    """kfp.local's cache, the modification time of whose entries tells when they were last used."""

    def get(self, key: str) -> dict[str, Any] | None:
        """The outputs of an entry, or None."""
        outputs: dict[str, Any] | None = super().get(key)
        if outputs is not None:
            os.utime(self._entry_path(key))
        return outputs


class _ThreadWarnings(logging.Handler):
    """Collects the warnings that one thread logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


@contextlib.contextmanager
def _warnings_of_this_thread() -> Iterator[list[str]]:
    handler = _ThreadWarnings()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.messages
    finally:
        logging.getLogger().removeHandler(handler)


def _check_outputs(definitions: Any, outputs: dict[str, Any]) -> None:
    """Refuse an attempt that exits with 0 and leaves an output unwritten.

    A Metrics artifact lives in its metadata. It gets a file with these, since the cache takes an artifact without a
    file for lost.
    """
    for name in [*definitions.parameters, *definitions.artifacts]:
        if name not in outputs:
            raise StepError(f"the step succeeded without writing its output '{name}': write it to the executor output")
    for name in definitions.artifacts:
        for artifact in outputs[name] if isinstance(outputs[name], list) else [outputs[name]]:
            path = Path(artifact.uri)
            if "://" in artifact.uri or path.exists():
                continue
            if artifact.schema_title not in METRICS_TYPES:
                raise StepError(f"the step succeeded without making its output artifact '{name}': write it to {path}")
            path.write_text(json.dumps(artifact.metadata), encoding="utf-8")


def _explain_exit(exit_code: int, log: Path) -> str:
    """One line: what the command said last, preferably its `error: …` line, and how it ended."""
    lines = last_lines(log, 50)
    errors = [line for line in lines if line.lower().startswith("error:")]
    said = (errors or lines or ["no output"])[-1].strip()
    return f"{said} ({f'signal {-exit_code}' if exit_code < 0 else f'exit code {exit_code}'})"


def _nothing() -> None:
    """Stand in for a function that only prints."""

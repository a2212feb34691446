"""Hooks into kfp.local that run container components as processes and report every step.

kfp.local has no public extension point for this. While a run lasts, these of its names are replaced: the task handler
of SubprocessRunner (it refuses container components), the two functions that every task passes through, the evaluation
of conditions (it takes unresolved values for false), the cache (it does not record when an entry was used, nor what the
step took) and three logging helpers (they change the root logger and `print` from several threads).
"""

import contextlib
import json
import logging
import os
import re
import shutil
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
from container_component_src.progress import last_told
from pipeline.local.processes import ProcessLauncher, RunInterruptedError, last_lines
from pipeline.local.store import log_of
from pipeline.steps import StepBoard, StepRecord, StepState

METRICS_TYPES = {
    artifact.schema_title for artifact in (dsl.Metrics, dsl.ClassificationMetrics, dsl.SlicedClassificationMetrics)
}
_FIGURES = "step figures"  # beside the outputs in a cache entry; no output has a blank in its name
_LOOKED_AT = 100  # last lines of a step's log that are searched for its progress
_STEP_ERRORS = (PipelineError, ValueError, LookupError, OSError, RuntimeError, json_format.Error)


class StepRunner:
    """Replacement of kfp.local's private parts while a pipeline runs.

    Args:
        board: Board of the steps.
        launcher: Launcher of the steps' commands.
        logs: Folder of the steps' log files.

    Attributes:
        problems: Conditions that could not be evaluated.
    """

    def __init__(self, board: StepBoard, launcher: ProcessLauncher, logs: Path) -> None:
        self.problems: list[str] = []
        self._board = board
        self._launcher = launcher
        self._logs = logs
        self._current = threading.local()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Replace kfp.local's parts while the context lasts.

        Raises:
            StepError: The installed kfp lacks one of the names.
        """
        condition = enhanced_dag_orchestrator.ConditionEvaluator
        replacements: list[tuple[ModuleType | type, str, Callable[[Any], object]]] = [
            (subprocess_task_handler, "SubprocessTaskHandler", lambda _: partial(ContainerTaskHandler, self)),
            (task_executor, "execute_single_task", lambda original: partial(self._execute, original)),
            (task_dispatcher, "run_single_task_implementation", lambda original: partial(self._run, original)),
            (condition, "evaluate_condition", lambda original: staticmethod(partial(self._evaluate, original))),
            (cache, "LocalCache", lambda _: type("StepCache", (_StepCache,), {"step_runner": self})),
            (cache, "_cache_singleton", lambda _: None),
            (logging_utils, "local_logger_context", lambda _: contextlib.nullcontext),
            (logging_utils, "indented_print", lambda _: contextlib.nullcontext),
            (logging_utils, "print_horizontal_line", lambda _: _nothing),
        ]
        with contextlib.ExitStack() as stack:
            for owner, name, make in replacements:
                if name not in vars(owner):
                    problem = f"kfp has no {owner.__name__}.{name}"
                    raise StepError(problem, fix="install the kfp release in requirements.txt")
                original = vars(owner)[name]
                stack.callback(setattr, owner, name, original)
                setattr(owner, name, make(getattr(owner, name)))
            yield

    def run_command(self, command: Sequence[str], env: dict[str, str]) -> bool:
        """Run the command of the calling thread's task and return whether it succeeded."""
        record: StepRecord = self._current.record
        log = self._log_of(record)
        log.touch()  # exists even if the command cannot be started
        self._board.start(record, log)
        result = self._launcher.run(
            command, log, env, lambda: self._board.note(record, last_told(last_lines(log, _LOOKED_AT)))
        )
        peaks = [peak for peak in (record.peak_rss_mib, result.peak_rss_mib) if peak is not None]
        record.peak_rss_mib = max(peaks, default=None)
        if result.exit_code != 0:
            record.message = _explain_exit(result.exit_code, log)
        return result.exit_code == 0

    def remember(self, log: Path) -> dict[str, Any]:
        """Copy the log of the calling thread's task to a file, and return what the task took."""
        record: StepRecord = self._current.record
        if record.log is not None:
            shutil.copyfile(record.log, log)
        return {"seconds": record.elapsed(), "peak_rss_mib": record.peak_rss_mib}

    def recall(self, figures: dict[str, Any], log: Path) -> None:
        """Give the calling thread's task, which need not run, the log and figures of when it ran."""
        record: StepRecord = self._current.record
        record.seconds, record.peak_rss_mib = figures.get("seconds", 0.0), figures.get("peak_rss_mib")
        if log.exists():
            record.log = self._log_of(record)
            shutil.copyfile(log, record.log)

    def _log_of(self, record: StepRecord) -> Path:
        return self._logs / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', record.name).strip('-')}.log"

    def _execute(self, original: Callable[..., tuple[dict[str, Any], Status]], **task: Any) -> tuple[Any, Status]:
        """Replace `execute_single_task`, which covers cache lookup, attempts and outputs of a task."""
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
            # Steps that are not in the cache were started by run_command.
            self._board.finish(record, StepState.CACHED if record.began is None else StepState.SUCCEEDED)
        return outputs, status

    def _run(self, original: Callable[..., tuple[dict[str, Any], Status]], **task: Any) -> tuple[Any, Status]:
        """Replace `run_single_task_implementation`, which runs a task before its outputs go into the cache."""
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
        """Replace `evaluate_condition`, so that a condition that cannot be evaluated is an error and not false."""
        with _warnings_of_this_thread() as warnings:
            is_true = original(condition=condition.replace("double(", "float("), io_store=io_store)
        if warnings:
            error = StepError(
                f"the condition {condition} cannot be evaluated locally ({', '.join(warnings)})",
                fix="move it into a nested pipeline that has the compared values as inputs",
            )
            self.problems.append(str(error))
            raise error
        return bool(is_true)


class ContainerTaskHandler(subprocess_task_handler.SubprocessTaskHandler):
    """Task handler that runs the command of a container component with the launcher; the image is ignored.

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
        """Run the command and wait for its end."""
        succeeded = self._step_runner.run_command(self.full_command, self.env_vars)
        return Status.SUCCESS if succeeded else Status.FAILURE


class _StepCache(cache.LocalCache):
    """kfp.local's cache; an entry also has the log and the figures of its step, and is as old as its last use.

    A subclass, of which kfp.local also calls static methods, names the runner of the steps.
    """

    step_runner: StepRunner

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the outputs of an entry; None if there is none."""
        outputs: dict[str, Any] | None = super().get(key)
        if outputs is not None:
            entry = Path(self._entry_path(key))
            os.utime(entry)
            self.step_runner.recall(outputs.pop(_FIGURES, {}), log_of(entry))
        return outputs

    def put(self, key: str, outputs: dict[str, Any]) -> None:
        """Write an entry."""
        figures = self.step_runner.remember(log_of(Path(self._entry_path(key))))
        super().put(key, {**outputs, _FIGURES: figures})


class _ThreadWarnings(logging.Handler):
    """Log handler that collects the warnings of one thread."""

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
    """Check that a step that exited with 0 wrote all outputs.

    The content of a Metrics artifact is its metadata. They are written to a file, because the cache regards an artifact
    without a file as lost.
    """
    for name in [*definitions.parameters, *definitions.artifacts]:
        if name not in outputs:
            problem = f"the step succeeded without writing its output '{name}'"
            raise StepError(problem, fix="write it to the executor output")
    for name in definitions.artifacts:
        for artifact in outputs[name] if isinstance(outputs[name], list) else [outputs[name]]:
            path = Path(artifact.uri)
            if "://" in artifact.uri or path.exists():
                continue
            if artifact.schema_title not in METRICS_TYPES:
                problem = f"the step succeeded without writing its output artifact '{name}'"
                raise StepError(problem, fix=f"write it to {path}")
            path.write_text(json.dumps(artifact.metadata), encoding="utf-8")


def _explain_exit(exit_code: int, log: Path) -> str:
    """Return the last `error: …` line of a command, or else its last line, and its exit code."""
    lines = last_lines(log, 50)
    errors = [line for line in lines if line.lower().startswith("error:")]
    last = (errors or lines or ["no output"])[-1].strip()
    return f"{last} ({f'signal {-exit_code}' if exit_code < 0 else f'exit code {exit_code}'})"


def _nothing() -> None:
    """Replace a function that only prints."""

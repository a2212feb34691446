"""Steps of a run: read from the compiled pipeline, and updated while the run lasts."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.dsl.utils import COMPONENT_NAME_PREFIX
from kfp.local.graph_utils import topological_sort_tasks
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from container_component_src.errors import InputError


class StepState(StrEnum):
    """State of a step."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    SKIPPED = "skipped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class PlannedStep:
    """A task of the pipeline that runs a container.

    Attributes:
        component: Name of the component, which the compiler makes unique per task, also across nested pipelines.
        in_loop: Whether the task runs once per item of a loop.
    """

    component: str
    in_loop: bool

    @property
    def name(self) -> str:
        """Name of the step in the form of its command."""
        return self.component.removeprefix(COMPONENT_NAME_PREFIX).replace("-", "_")


@dataclass
class StepRecord:
    """One step, or one iteration of a step in a loop.

    Attributes:
        planned: The task of the pipeline.
        iterations: Index of the iteration in each enclosing loop, outermost first.
        state: Current state.
        began: Monotonic time of the start in seconds; None if the step has not run.
        seconds: Duration of a step that has ended. This and the next two of a cached step are those of when it ran.
        peak_rss_mib: Largest resident memory of any of the step's processes in MiB; None if it was not measured.
        log: File with the output of the step's process.
        outputs: Output parameters and artifacts by name.
        message: Reason of a failure.
        note: How far the step is, if it tells.
    """

    planned: PlannedStep
    iterations: tuple[int, ...] = ()
    state: StepState = StepState.PENDING
    began: float | None = None
    seconds: float = 0.0
    peak_rss_mib: float | None = None
    log: Path | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """Name with the iteration: `split_parquet_file [1]`."""
        return self.planned.name + "".join(f" [{index}]" for index in self.iterations)

    def elapsed(self) -> float:
        """Return the duration in seconds; for a running step, that up to now."""
        if self.state is StepState.RUNNING and self.began is not None:
            return time.monotonic() - self.began
        return self.seconds


def load_pipeline_spec(package: Path) -> Any:
    """Read a compiled pipeline, without its second document of settings for Kubernetes.

    Args:
        package: YAML file written by the compiler.

    Returns:
        kfp's PipelineSpec message.

    Raises:
        InputError: The file cannot be read or is not a compiled pipeline.
    """
    try:
        # kfp itself parses the text twice, and without the C library.
        document: Any = next(yaml.load_all(package.read_bytes(), Loader=yaml.CSafeLoader), {})
        spec = json_format.ParseDict(document, PipelineSpec())
    except OSError as error:
        raise InputError(f"cannot read {package} ({error.strerror})", fix="compile the pipeline first") from error
    except (json_format.Error, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{package} is not a compiled pipeline", fix="compile it again") from error
    if not spec.HasField("root"):
        raise InputError(f"{package} is not a compiled pipeline", fix="compile it again")
    return spec


def plan_steps(pipeline_spec: Any) -> list[PlannedStep]:
    """List the container tasks of a compiled pipeline in an order in which they can run.

    Args:
        pipeline_spec: kfp's PipelineSpec message.

    Returns:
        All container tasks, including those in nested pipelines, loops and conditions.

    Raises:
        InputError: A task is not a container component.
    """
    executors = pipeline_spec.deployment_spec["executors"]

    def walk(dag: Any, in_loop: bool) -> list[PlannedStep]:
        order = topological_sort_tasks(dict(sorted(dag.tasks.items())))
        steps = []
        for task_name in reversed(order):
            task = dag.tasks[task_name]
            component = pipeline_spec.components[task.component_ref.name]
            looped = in_loop or task.WhichOneof("iterator") is not None
            if component.WhichOneof("implementation") == "dag":
                steps += walk(component.dag, looped)
            elif "container" not in executors[component.executor_label]:
                raise InputError(f"step '{task_name}' is not a container component", fix="use one for local runs")
            else:
                steps.append(PlannedStep(task.component_ref.name, looped))
        return steps

    return walk(pipeline_spec.root.dag, in_loop=False)


class StepBoard:
    """Thread-safe list of the steps of a run and their states.

    Args:
        planned: Steps in display order.
        observer: Function that is called with a record after each change of its state.
    """

    def __init__(self, planned: list[PlannedStep], observer: Callable[[StepRecord], None]) -> None:
        self._lock = threading.RLock()
        self._records = [StepRecord(step) for step in planned]
        self._observer = observer

    def records(self) -> list[StepRecord]:
        """Return the records in display order, iterations in the order of their items."""
        with self._lock:
            return list(self._records)

    def find(self, component: str, resource_name: str) -> StepRecord:
        """Return the record of a task that is about to run.

        Args:
            component: Name of the task's component.
            resource_name: kfp.local's resource name of the run, to which each loop adds `…-iteration-N`.

        Returns:
            The record; in a loop, the first iteration uses the planned record and the others get new ones.
        """
        iterations = tuple(int(index) for index in re.findall(r"/[^/]*-iteration-(\d+)(?=/|$)", resource_name))
        with self._lock:
            same = [i for i, record in enumerate(self._records) if record.planned.component == component]
            first = self._records[same[0]]
            if not first.planned.in_loop:
                return first
            if not first.iterations:
                first.iterations = iterations
                return first
            record = StepRecord(first.planned, iterations)
            before = [i for i in same if self._records[i].iterations < iterations]
            self._records.insert(before[-1] + 1 if before else same[0], record)
            return record

    def start(self, record: StepRecord, log: Path) -> None:
        """Mark a step as running; a retried step keeps its first start time."""
        with self._lock:
            record.began = time.monotonic() if record.began is None else record.began
            record.log = log
            record.state = StepState.RUNNING
            self._observer(record)

    def note(self, record: StepRecord, text: str) -> None:
        """Note how far a running step is; an empty text changes nothing."""
        with self._lock:
            if text and text != record.note:
                record.note = text
                self._observer(record)

    def finish(self, record: StepRecord, state: StepState, message: str = "") -> None:
        """Mark a step as ended."""
        with self._lock:
            record.seconds = record.elapsed()
            record.state = state
            record.message = message
            self._observer(record)

    def skip_pending(self) -> None:
        """Mark all pending steps as skipped, because the run has ended."""
        for record in self.records():
            if record.state is StepState.PENDING:
                self.finish(record, StepState.SKIPPED)

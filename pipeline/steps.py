"""The steps of a local run: read from the compiled pipeline before it starts, kept up to date while it runs."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from kfp import components
from kfp.dsl.utils import COMPONENT_NAME_PREFIX
from kfp.local.graph_utils import topological_sort_tasks

from container_component_src.errors import InputError


class StepState(StrEnum):
    """What became of a step."""

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
        component: Name of its component, which the compiler makes unique to the task, nested pipelines included.
        in_loop: Whether it runs once for every item of a loop.
    """

    component: str
    in_loop: bool

    @property
    def name(self) -> str:
        """The step's name as its command is written."""
        return self.component.removeprefix(COMPONENT_NAME_PREFIX).replace("-", "_")


@dataclass
class StepRecord:
    """One step, or one iteration of a step in a loop.

    Attributes:
        iterations: Index of the iteration in each enclosing loop, outermost first.
        began: Monotonic clock at the start of the process; None before, and for a step that was not run.
        seconds: Duration once it has ended.
        peak_rss_mib: Largest resident memory of any single one of its processes, in MiB; None if it was not measured.
        log: File with the output of its process.
        outputs: Output parameters and artifacts by name.
        message: Why it failed.
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

    @property
    def name(self) -> str:
        """Name with the iteration: `split_parquet_file [1]`."""
        return self.planned.name + "".join(f" [{index}]" for index in self.iterations)

    def elapsed(self) -> float:
        """Seconds that the step took or, while it runs, has taken so far."""
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
        return components.load_component_from_file(str(package)).pipeline_spec
    except OSError as error:
        raise InputError(f"cannot read {package} ({error.strerror})", fix="compile the pipeline first") from error
    except (ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{package} is not a compiled pipeline", fix="compile it again") from error


def plan_steps(pipeline_spec: Any) -> list[PlannedStep]:
    """List the container tasks of a compiled pipeline in an order in which they can run.

    Args:
        pipeline_spec: kfp's PipelineSpec message.

    Returns:
        Every container task, those of nested pipelines, loops and conditions included.

    Raises:
        InputError: A task runs something else than a container.
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
                raise InputError(f"step '{task_name}' is no container component: a local run takes only these")
            else:
                steps.append(PlannedStep(task.component_ref.name, looped))
        return steps

    return walk(pipeline_spec.root.dag, in_loop=False)


class StepBoard:
    """All steps of a run and their states; safe to use from kfp's threads.

    Args:
        planned: Steps in the order in which they are shown.
        observer: Called with a record after each change of its state.
    """

    def __init__(self, planned: list[PlannedStep], observer: Callable[[StepRecord], None]) -> None:
        self._lock = threading.RLock()
        self._records = [StepRecord(step) for step in planned]
        self._observer = observer

    def records(self) -> list[StepRecord]:
        """The records in the order of the plan, iterations in the order of their items."""
        with self._lock:
            return list(self._records)

    def find(self, component: str, resource_name: str) -> StepRecord:
        """The record of a task that is about to run.

        Args:
            component: Name of the task's component.
            resource_name: kfp.local's resource name of the run, to which each loop adds `…-iteration-N`.

        Returns:
            Its record; the first iteration of a step in a loop takes the place of the planned one.
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
        """Mark a step as running; a retried step keeps its first start."""
        with self._lock:
            record.began = time.monotonic() if record.began is None else record.began
            record.log = log
            record.state = StepState.RUNNING
            self._observer(record)

    def finish(self, record: StepRecord, state: StepState, message: str = "") -> None:
        """Mark a step as ended."""
        with self._lock:
            record.seconds = record.elapsed()
            record.state = state
            record.message = message
            self._observer(record)

    def skip_pending(self) -> None:
        """Mark as skipped whatever did not run: the run is over."""
        for record in self.records():
            if record.state is StepState.PENDING:
                self.finish(record, StepState.SKIPPED)

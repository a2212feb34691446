"""Run a compiled pipeline on this machine: kfp.local walks the graph, each step is a process of this project."""

import contextlib
import logging
import os
import re
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from kfp import local
from kfp.local import config, pipeline_orchestrator
from rich.console import Console

from container_component_src.errors import PipelineError
from container_component_src.maintenance.cleanup import clean_up
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.storage import S3_ENVIRONMENT
from pipeline.arguments import parse_arguments
from pipeline.local import store
from pipeline.local.containers import ContainerLauncher
from pipeline.local.kfp_hooks import StepRunner
from pipeline.local.processes import ProcessLauncher
from pipeline.local.summary import RunStatus, RunSummary, SummaryRules, print_summary, summarize, write_summary
from pipeline.progress import Progress
from pipeline.steps import StepBoard, StepState, load_pipeline_spec, plan_steps

PROJECT_ROOT = Path(__file__).resolve().parents[2]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class LocalRunOptions:
    """What to run, and where.

    Attributes:
        yaml_path: The compiled pipeline.
        arguments: Values of pipeline parameters; text is parsed by the declared types.
        work_dir: Directory for `outputs`, `cache` and `last_run`; one run at a time works in it.
        cache: Whether a step with the same source, command and inputs as in an earlier run is answered from there.
        env: Variables set for the steps on top of this process's environment.
        project_root: Working directory of the steps; its sources, lock and configuration are part of the cache key.
        grace_seconds: Time between SIGTERM and SIGKILL when the run is interrupted.
        rules: Where the summary finds its parts.
        image: Container image that each step runs in; steps are processes of this machine if empty.
    """

    yaml_path: Path
    arguments: Mapping[str, object]
    work_dir: Path
    cache: bool = True
    env: Mapping[str, str] = field(default_factory=dict)
    project_root: Path = PROJECT_ROOT
    grace_seconds: float = 5.0
    rules: SummaryRules = field(default_factory=SummaryRules)
    image: str = ""


def run_locally(options: LocalRunOptions, console: Console | None = None) -> RunSummary:
    """Run a compiled pipeline to its end and tell how it went, on the console and in `work_dir/last_run`.

    SIGINT, SIGTERM and SIGHUP stop the processes of all steps and end the run as interrupted.

    Args:
        options: What to run, and where.
        console: Where to show the run; stdout by default.

    Returns:
        The outcome; a failed step is an outcome, not an exception.

    Raises:
        InputError: The pipeline cannot be read, an argument does not fit, or another run works in the directory.
        StepError: The installed kfp lacks what a local run needs.
    """
    console = console or Console()
    pipeline_spec = load_pipeline_spec(options.yaml_path)
    _try_once(pipeline_spec)
    arguments = parse_arguments(pipeline_spec.root, options.arguments)
    progress = Progress(console)
    board = StepBoard(plan_steps(pipeline_spec), progress.changed)
    work_dir = options.work_dir.resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    with store.exclusive(work_dir):
        last_run = _fresh_last_run(work_dir)
        with progress.showing(board.records):
            status, message = _run(pipeline_spec, arguments, options, board, last_run)
            board.skip_pending()
        summary = summarize(
            status=status,
            pipeline=pipeline_spec.pipeline_info.name,
            records=board.records(),
            message=message,
            last_run=last_run,
            rules=options.rules,
        )
        write_summary(summary)
    print_summary(summary, console)
    return summary


def _try_once(pipeline_spec: Any) -> None:
    """Drop the retries, which are for trouble of a cluster: here a failed step is shown at once."""
    for component in [pipeline_spec.root, *pipeline_spec.components.values()]:
        for task in component.dag.tasks.values():
            task.ClearField("retry_policy")


def _run(
    pipeline_spec: Any, arguments: dict[str, object], options: LocalRunOptions, board: StepBoard, last_run: Path
) -> tuple[RunStatus, str]:
    """Run the graph. Returns the status and, unless a step says it, why the run failed."""
    run_id = uuid.uuid4().hex[:8]
    launcher = _launcher(options, run_id)
    digest = store.source_digest(options.project_root, options.env, launcher.image_id)
    cache_root = last_run.parent / "cache" / digest
    outputs = last_run.parent / "outputs"
    outputs.mkdir(exist_ok=True)
    store.prune(cache_root.parent, outputs, digest)
    steps = StepRunner(board, launcher, last_run / "logs")
    started = (last_run / "logs").stat().st_mtime  # the file system's clock, as the cache entries have it
    completed, message = False, ""
    with _logging_to(last_run / "logs" / "kfp.log"), _stop_signals(launcher), steps.installed(), _local_execution():
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(outputs),
            workspace_root=str(last_run / "workspace"),
            enable_caching=options.cache,
            cache_root=str(cache_root),
        )
        try:
            pipeline_orchestrator.run_local_pipeline(pipeline_spec=pipeline_spec, arguments=arguments)
            completed = True
        except (RuntimeError, ValueError, LookupError, PipelineError) as error:
            logging.getLogger(__name__).debug("the run failed", exc_info=error)
            message = re.sub(r"\x1b\[\d+m", "", str(error))
        finally:
            clean_up(run_id)  # a step that had to be killed could not remove its scratch folders
    if completed:
        if options.cache:
            store.forget_unused_entries(cache_root, started)
        return RunStatus.SUCCEEDED, ""
    if launcher.interrupted:
        return RunStatus.INTERRUPTED, ""
    blamed = any(record.state is StepState.FAILED for record in board.records())
    return RunStatus.FAILED, "; ".join(steps.problems) or ("" if blamed else message)


def _launcher(options: LocalRunOptions, run_id: str) -> ProcessLauncher:
    own = {**options.env, "PYTHONUNBUFFERED": "1", RUN_ID_VARIABLE: run_id}
    if options.image:
        store_access = {name: os.environ[name] for name in S3_ENVIRONMENT if name in os.environ}
        return ContainerLauncher(options.image, options.project_root, {**store_access, **own}, options.grace_seconds)
    return ProcessLauncher(options.project_root, _environment(own), options.grace_seconds)


def _fresh_last_run(work_dir: Path) -> Path:
    """An empty `last_run`; the old summary goes first, so that nobody takes it for the new one."""
    last_run = work_dir / "last_run"
    (last_run / "summary.json").unlink(missing_ok=True)
    if last_run.exists():
        shutil.rmtree(last_run)
    (last_run / "logs").mkdir(parents=True)
    return last_run


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with this interpreter's directory first on PATH, so that `python` is this one."""
    env = {**os.environ, **extra}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    return env


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send all that is logged in this process to a file, and nothing to the terminal."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)
        handler.close()


@contextlib.contextmanager
def _stop_signals(launcher: ProcessLauncher) -> Iterator[None]:
    """Let signals stop the run instead of this process; only the main thread can arrange that."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        launcher.interrupt()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores one
    previous = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _local_execution() -> Iterator[None]:
    """Keep kfp's switch to local execution, which `local.init` turns for the whole process, to the context."""
    previous = config.LocalExecutionConfig.instance
    try:
        yield
    finally:
        config.LocalExecutionConfig.instance = previous

"""Runner of a compiled pipeline on this machine: kfp.local walks the graph, and each step is a process."""

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from kfp import local
from kfp.local import config, pipeline_orchestrator
from rich.console import Console

from container_component_src.errors import PipelineError
from container_component_src.limits import SPIN_DEFAULTS
from container_component_src.maintenance.watchdog import watched
from container_component_src.processes import PROJECT_ROOT
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.steps.serving import DEPLOYMENTS_VARIABLE
from container_component_src.storage import S3_ENVIRONMENT
from pipeline import run_folders
from pipeline.arguments import parse_arguments
from pipeline.local import store
from pipeline.local.closing import print_summary
from pipeline.local.containers import ContainerLauncher
from pipeline.local.kfp_hooks import StepRunner
from pipeline.local.processes import ProcessLauncher
from pipeline.local.summary import RunStatus, RunSummary, summarize, write_summary
from pipeline.progress import Progress
from pipeline.steps import StepBoard, StepState, load_pipeline_spec, plan_steps

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class LocalRunOptions:
    """Options of a local run.

    Attributes:
        yaml_path: File of the compiled pipeline.
        arguments: Values of pipeline parameters; text is parsed by the declared types.
        work_dir: Folder for `outputs`, `cache`, `deployments`, `runs` and `last_run`; only one run at a time uses it.
        cache: Whether steps reuse the outputs of earlier runs with the same source, command and inputs.
        env: Variables of the steps, in addition to this process's environment.
        project_root: Working directory of the steps; its sources, lock and configuration are part of the cache key.
        grace_seconds: Time between SIGTERM and SIGKILL when the run is interrupted.
        image: Container image of the steps; if empty, steps are processes of this machine.
        kept_runs: Number of the last runs whose reports and logs stay in `runs`.
    """

    yaml_path: Path
    arguments: Mapping[str, object]
    work_dir: Path
    cache: bool = True
    env: Mapping[str, str] = field(default_factory=dict)
    project_root: Path = PROJECT_ROOT
    grace_seconds: float = 5.0
    image: str = ""
    kept_runs: int = run_folders.KEPT_RUNS


def run_locally(options: LocalRunOptions, console: Console | None = None) -> RunSummary:
    """Run a compiled pipeline, and write its outcome to the console and to `work_dir/runs/ID`, which `last_run` links.

    SIGINT, SIGTERM and SIGHUP stop the processes of all steps and end the run as interrupted.

    Args:
        options: Options of the run.
        console: Console for the progress; by default stdout.

    Returns:
        Outcome of the run; a failed step does not raise an exception.

    Raises:
        InputError: The pipeline cannot be read, an argument is invalid, or another run uses the folder.
        StepError: The installed kfp release is not supported.
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
        run_id, started, earlier = uuid.uuid4().hex[:8], datetime.now(UTC), run_folders.read_runs(work_dir)
        folder = run_folders.begin(work_dir, run_id)
        with progress.showing(board.records):
            status, message = _run(pipeline_spec, arguments, options, board, folder, [run.model for run in earlier])
            board.skip_pending()
        summary = summarize(
            status=status,
            pipeline=pipeline_spec.pipeline_info.name,
            run_id=run_id,
            started=started,
            records=board.records(),
            message=message,
            folder=folder,
            earlier_report=next((Path(run.report) for run in earlier if run.report), None),
        )
        write_summary(summary)
        removed = run_folders.prune(work_dir, options.kept_runs)
    print_summary(summary, console, removed)
    return summary


def _try_once(pipeline_spec: Any) -> None:
    """Remove retries, which are for faults of a cluster; a local run reports a failed step at once."""
    for component in [pipeline_spec.root, *pipeline_spec.components.values()]:
        for task in component.dag.tasks.values():
            task.ClearField("retry_policy")


def _run(
    pipeline_spec: Any,
    arguments: dict[str, object],
    options: LocalRunOptions,
    board: StepBoard,
    folder: Path,
    kept: Iterable[str],
) -> tuple[RunStatus, str]:
    """Run the graph, and return the status and the reason of a failure that no step explains."""
    run_id, work_dir, logs = folder.name, options.work_dir.resolve(), folder / run_folders.LOGS
    launcher = _launcher(options, run_id, work_dir / "deployments")
    digest = store.source_digest(options.project_root, options.env, launcher.image_id)
    cache_root, outputs = work_dir / "cache" / digest, work_dir / "outputs"
    outputs.mkdir(exist_ok=True)
    store.prune(cache_root.parent, outputs, digest, kept)
    steps = StepRunner(board, launcher, logs)
    started = logs.stat().st_mtime  # the clock of the file system, as in the cache entries
    completed, message = False, ""
    with (
        _logging_to(logs / "kfp.log"),
        _stop_signals(launcher),
        steps.installed(),
        _local_execution(outputs, folder / "workspace", cache_root, options.cache),
        watched(run_id, launcher.removal(run_id)),  # killed steps leave scratch folders, a killed run also its steps
    ):
        try:
            pipeline_orchestrator.run_local_pipeline(pipeline_spec=pipeline_spec, arguments=arguments)
            completed = True
        except (RuntimeError, ValueError, LookupError, PipelineError) as error:
            logging.getLogger(__name__).debug("the run failed", exc_info=error)
            message = re.sub(r"\x1b\[\d+m", "", str(error))
    if completed:
        if options.cache:
            store.forget_unused_entries(cache_root, started)
        return RunStatus.SUCCEEDED, ""
    if launcher.interrupted:
        return RunStatus.INTERRUPTED, ""
    blamed = any(record.state is StepState.FAILED for record in board.records())
    return RunStatus.FAILED, "; ".join(steps.problems) or ("" if blamed else message)


def _launcher(options: LocalRunOptions, run_id: str, deployments: Path) -> ProcessLauncher:
    own = {**options.env, "PYTHONUNBUFFERED": "1", RUN_ID_VARIABLE: run_id, DEPLOYMENTS_VARIABLE: str(deployments)}
    if options.image:
        store_access = {name: os.environ[name] for name in S3_ENVIRONMENT if name in os.environ}
        return ContainerLauncher(options.image, options.project_root, {**store_access, **own}, options.grace_seconds)
    return ProcessLauncher(options.project_root, _environment(own), options.grace_seconds)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with this interpreter's folder first on PATH."""
    env = {**SPIN_DEFAULTS, **os.environ, **extra}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    return env


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Redirect all logging of this process to a file."""
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
    """Let signals interrupt the run instead of this process; this works in the main thread only."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        launcher.interrupt()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores one
    previous = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _local_execution(outputs: Path, workspace: Path, cache_root: Path, cache: bool) -> Iterator[None]:
    """Configure kfp's local execution; its configuration, which holds for the whole process, is restored at the end."""
    previous = config.LocalExecutionConfig.instance
    try:
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(outputs),
            workspace_root=str(workspace),
            enable_caching=cache,
            cache_root=str(cache_root),
        )
        yield
    finally:
        config.LocalExecutionConfig.instance = previous

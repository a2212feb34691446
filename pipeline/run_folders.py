"""Folders of local runs: `runs/ID` has summary, pages and logs of one, and `last_run` is a link to the last of them."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from container_component_src.errors import InputError
from pipeline.history import PastRun, PastStep
from pipeline.outcome import service_name

RUNS, LAST_RUN, LOGS = "runs", "last_run", "logs"
SUMMARY = "summary.json"
PAGE_SUFFIX = ".html"  # by which a browser knows a page; kfp.local names artifacts without a suffix
LOCK = ".lock"
KEPT_RUNS = 20
RUN_FIRST = "run the pipeline to its end with `make run`"
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def begin(work_dir: Path, run_id: str) -> Path:
    """Create the folder of a run, and let `last_run` be a link to it.

    Until the run has ended, the folder has no summary, so that one of an earlier run cannot be mistaken for it.

    Args:
        work_dir: Working directory of local runs, which no other run uses.
        run_id: ID of the run.

    Returns:
        The folder, with an empty folder for logs in it.
    """
    last_run = work_dir / LAST_RUN
    if last_run.is_dir() and not last_run.is_symlink():
        _adopt(last_run)
    folder = work_dir / RUNS / run_id
    (folder / LOGS).mkdir(parents=True)
    link = work_dir / f"{LAST_RUN}.tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(RUNS, run_id))
    link.replace(last_run)
    return folder


def _adopt(last_run: Path) -> None:
    """Give the folder that earlier releases used for all runs in turn the place of a run."""
    modified = datetime.fromtimestamp(last_run.stat().st_mtime, UTC)
    run_id = _text(_object(_read(last_run / SUMMARY), "run"), "id") or f"{modified:%Y%m%d-%H%M%S}"
    folder = last_run.parent / RUNS / run_id
    folder.parent.mkdir(exist_ok=True)
    last_run.rename(folder)


def last_summary(last_run: Path) -> dict[str, Any]:
    """Return the summary in the folder of the last run.

    Raises:
        InputError: There is none.
    """
    file = last_run / SUMMARY
    if not file.is_file():
        raise InputError(f"{file}: no such file", fix=RUN_FIRST)
    summary: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return summary


def read_runs(*work_dirs: Path) -> list[PastRun]:
    """Return the runs of working directories, the last one first."""
    runs = [run for work_dir in work_dirs for run in _runs(work_dir)]
    return sorted(runs, key=lambda run: run.started or _EARLIEST, reverse=True)


def _runs(work_dir: Path) -> Iterator[PastRun]:
    folders = [folder for folder in work_dir.glob(f"{RUNS}/*") if folder.is_dir()]
    last_run = work_dir / LAST_RUN
    if last_run.is_dir() and not last_run.is_symlink():  # of an earlier release
        folders.append(last_run)
    under_way = last_run.resolve() if _in_use(work_dir) else None
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # a run that has just ended removes old folders
            yield read_run(folder, "running" if folder.resolve() == under_way else "killed")


def read_run(folder: Path, otherwise: str = "killed") -> PastRun:
    """Return what the folder of a run tells.

    Summaries of earlier releases lack what these did not write. Paths are those in the folder, wherever it is now.

    Args:
        folder: The folder.
        otherwise: Status of the run if it has no summary.
    """
    summary = _read(folder / SUMMARY)
    run = _object(summary, "run")
    origin = _object(run, "origin")
    report = folder / f"report{PAGE_SUFFIX}"
    started, ended = _time(run.get("started")), _time(run.get("ended"))
    parameters = run.get("parameters")
    metrics = [_object(values, name) for values in [_object(summary, "metrics")] for name in values]
    return PastRun(
        id=_text(run, "id") or folder.name,
        status=_text(summary, "status") or otherwise,
        started=started or datetime.fromtimestamp(folder.stat().st_mtime, UTC),
        seconds=(ended - started).total_seconds() if started and ended else None,
        parameters=parameters if isinstance(parameters, dict) else None,
        metrics={name: value for values in metrics for name, value in values.items() if _number(value) is not None},
        deployed=summary.get("deployed") is True if summary else None,
        service=service_name(_object(run, "parameters")),
        commit=_text(origin, "commit"),
        image=_text(origin, "image"),
        data={**{name: run[name] for name in ("archives", "reports") if name in run}, **_object(run, "data")},
        steps=_steps(summary.get("steps")),
        model=_text(summary, "model"),
        report=str(report) if summary.get("report") and report.is_file() else "",
        logs=str(folder / LOGS),
    )


def prune(work_dir: Path, kept: int) -> list[str]:
    """Remove the folders of old runs.

    The last runs stay, and for each service also the last run that deployed it.

    Args:
        work_dir: Working directory of local runs.
        kept: Number of the last runs that stay.

    Returns:
        IDs of the removed runs.
    """
    runs = read_runs(work_dir)
    deployed: dict[str, PastRun] = {}
    for run in runs:
        if run.deployed:
            deployed.setdefault(run.service, run)
    staying = {run.logs for run in [*runs[:kept], *deployed.values()]}
    staying.add(str((work_dir / LAST_RUN).resolve() / LOGS))  # whatever the clock said when it began
    removed = [run for run in runs if run.logs not in staying]
    for run in removed:
        shutil.rmtree(Path(run.logs).parent)
    return [run.id for run in removed]


def _in_use(work_dir: Path) -> bool:
    """Return whether a run holds the lock of a working directory."""
    lock = work_dir / LOCK
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _read(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one if there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a JSON object in another one; an empty one if there is none."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(document: dict[str, Any], name: str) -> str:
    """Return a text in a JSON object; an empty one if there is none."""
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _steps(steps: object) -> list[PastStep]:
    found = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return [PastStep(_text(step, "name"), _text(step, "status"), _number(step.get("seconds")) or 0.0) for step in found]


def _time(text: object) -> datetime | None:
    """Return a time with a time zone; None if the text is none."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None


def _number(value: object) -> float | None:
    """Return a number; None if the value is none."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None

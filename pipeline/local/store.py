"""Outputs and cache of local runs on disk: digest of the sources, lock and clean-up."""

import contextlib
import fcntl
import hashlib
import json
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from container_component_src.errors import InputError
from pipeline.run_folders import LOCK

SOURCE = ("container_component_src", "poetry.lock", "requirements.txt")  # steps get what config.toml says as arguments
KEPT_RUNS = 3


def source_digest(project_root: Path, env: Mapping[str, str], image_id: str = "") -> str:
    """Return a digest of everything except its arguments that determines the outputs of a step.

    Args:
        project_root: Folder of the sources and the lock.
        env: Variables set for the steps.
        image_id: ID of the steps' container image; if given, it replaces the sources of the project.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for part in (image_id or sys.version, platform.machine(), json.dumps(dict(env), sort_keys=True)):
        digest.update(part.encode() + b"\0")
    for name in () if image_id else SOURCE:
        path = project_root / name
        files = [path] if path.is_file() else path.rglob("*")
        for file in sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(project_root).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def exclusive(work_dir: Path) -> Iterator[None]:
    """Lock a working directory for one run; the lock ends with the process.

    Raises:
        InputError: Another run holds the lock.
    """
    with (work_dir / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another local run uses {work_dir}", fix="wait for it, or choose another directory"
            ) from error
        yield


def log_of(entry: Path) -> Path:
    """Return the log of the step of a cache entry."""
    return entry.with_suffix(".log")


def forget_unused_entries(cache_root: Path, run_started: float) -> None:
    """Remove the cache entries that the last `KEPT_RUNS` successful runs did not use.

    Args:
        cache_root: Folder of the cache entries; their modification time is the time of last use.
        run_started: Start of the run that just succeeded in seconds, by the clock of the same file system.
    """
    history = cache_root / "succeeded_runs.txt"
    starts = [float(line) for line in history.read_text().split()] if history.exists() else []
    starts = [*starts, run_started][-KEPT_RUNS:]
    temporary = history.with_suffix(".tmp")
    temporary.write_text("\n".join(map(repr, starts)))
    temporary.replace(history)
    if len(starts) == KEPT_RUNS:
        for entry in cache_root.glob("*.json"):
            if entry.stat().st_mtime < starts[0]:
                _forget(entry)


def prune(caches: Path, outputs: Path, digest: str, kept: Iterable[str] = ()) -> None:
    """Remove the caches of other sources, and all outputs without a cache entry.

    Args:
        caches: Folder with one cache per digest.
        outputs: Folder with the outputs of all runs.
        digest: Digest of the cache to keep.
        kept: Paths of outputs that stay in any case.
    """
    for other in caches.glob("*"):
        if other.name != digest:
            shutil.rmtree(other)
    named = {path for text in kept for path in _paths_in(text, outputs)}
    for entry in (caches / digest).glob("*.json"):
        try:
            named.update(_paths_in(json.loads(entry.read_text()), outputs))
        except json.JSONDecodeError:
            _forget(entry)
    ancestors = {parent for path in named for parent in path.parents}
    _remove_unnamed(outputs, named, ancestors)


def _forget(entry: Path) -> None:
    log_of(entry).unlink(missing_ok=True)
    entry.unlink()


def _paths_in(value: object, outputs: Path) -> Iterator[Path]:
    if isinstance(value, str):
        for match in re.findall(re.escape(f"{outputs}/") + r"[^\s\"',;]+", value):
            path = Path(match)
            while not path.exists():  # a pattern, or a deleted file: keep its folder
                path = path.parent
            if outputs in path.parents:
                yield path
    elif isinstance(value, dict):
        for item in value.values():
            yield from _paths_in(item, outputs)
    elif isinstance(value, list):
        for item in value:
            yield from _paths_in(item, outputs)


def _remove_unnamed(directory: Path, named: set[Path], ancestors: set[Path]) -> None:
    for path in directory.glob("*"):
        if path in named:
            continue
        if path in ancestors:
            _remove_unnamed(path, named, ancestors)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

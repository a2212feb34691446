"""Temporary folders that bear the name of their run, so that `cleanup` finds those of a run that was killed."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from container_component_src.errors import InputError

RUN_ID_VARIABLE = "PIPELINE_RUN_ID"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def checked_run_id(run_id: str) -> str:
    """The run id, if it can be part of a file name.

    Raises:
        InputError: It is empty or holds other characters than letters, digits, `_`, `.` and `-`.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(f"run id {run_id!r} has to start with a letter or digit and hold these, '_', '.' and '-' only")
    return run_id


@contextmanager
def scratch_directory(environment: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """A new folder for temporary files, removed when the block is left.

    Args:
        environment: Where the run id is looked up; a run by hand has none.
    """
    run_id = checked_run_id(environment.get(RUN_ID_VARIABLE) or "manual")
    with tempfile.TemporaryDirectory(prefix=f"eclss-{run_id}-") as folder:
        yield Path(folder)


def scratch_directories(run_id: str) -> list[Path]:
    """The folders that `scratch_directory` made for a run and that are still there, sorted."""
    # tempfile appends eight characters without a hyphen: run `a` does not match the folders of run `a-b`.
    name = re.compile(rf"eclss-{re.escape(checked_run_id(run_id))}-[a-z0-9_]{{8}}")
    folders = (path for path in Path(tempfile.gettempdir()).iterdir() if name.fullmatch(path.name))
    return sorted(path for path in folders if path.is_dir() and not path.is_symlink())

"""Temporary directories named after their run, so that `cleanup` finds those of a killed run."""

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
    """Return a run id that can be part of a file name.

    Raises:
        InputError: It is empty or has characters other than letters, digits, `_`, `.` and `-`.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(
            f"run id {run_id!r} is invalid",
            fix="start it with a letter or digit, and use letters, digits, '_', '.' and '-' only",
        )
    return run_id


@contextmanager
def scratch_directory(environment: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Create a temporary directory, and remove it when the block ends.

    Args:
        environment: Environment variables with the run id; a command run by hand has none.
    """
    run_id = checked_run_id(environment.get(RUN_ID_VARIABLE) or "manual")
    with tempfile.TemporaryDirectory(prefix=f"eclss-{run_id}-") as folder:
        yield Path(folder)


def scratch_directories(run_id: str) -> list[Path]:
    """Return the existing directories that `scratch_directory` created for a run, sorted."""
    # tempfile appends eight characters without a hyphen, so run `a` does not match the directories of run `a-b`.
    name = re.compile(rf"eclss-{re.escape(checked_run_id(run_id))}-[a-z0-9_]{{8}}")
    folders = (path for path in Path(tempfile.gettempdir()).iterdir() if name.fullmatch(path.name))
    return sorted(path for path in folders if path.is_dir() and not path.is_symlink())

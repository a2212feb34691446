"""The data root: a folder in the user's own store for the large outputs of all runs.

    DATA_ROOT/_data_root.json         marks the folder as a data root of this project
    DATA_ROOT/RUN_ID/_run.json        describes the run; the first step writes it, which also checks write permission
    DATA_ROOT/RUN_ID/STEP/OUTPUT      a dataset, or the model bundle

A step derives its output folder from the run ID in its environment. With a run ID in its arguments, the pipeline would
never find a task in its cache.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field, ValidationError

from container_component_src import storage
from container_component_src.errors import InputError, PipelineError, StepError
from container_component_src.scratch import RUN_ID_VARIABLE, checked_run_id
from container_component_src.storage import Location
from container_component_src.values import Frozen

PROJECT = "columbus-eclss-ad"
ROOT_MARKER = "_data_root.json"
RUN_MARKER = "_run.json"
WRITE_PROBE = "write-probe"  # tests write permission; always this name, because some stores do not allow its deletion
# Last part of the fix if an input is missing that a cached step wrote.
IF_DELETED = "or, if it was deleted (cleanup, retention), the pipeline with --no-cache"

_OTHER_FOLDER = "give data_root another folder"


class RootMarker(Frozen):
    """Contents of `_data_root.json`."""

    project: str = PROJECT
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))


class RunMarker(Frozen):
    """Contents of `_run.json`."""

    run_id: str
    namespace: str = ""  # of the run's pods and service; empty for a run on one machine
    started: datetime = Field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class RunFolder:
    """Folder of a run below a data root."""

    location: Location
    marker: RunMarker


def place(uri: str, data_root: str, *names: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the URI to which a step writes a large output.

    Args:
        uri: URI that the pipeline assigned, which is used without a data root.
        data_root: The data root, or "".
        names: The step's command and the output's name.
        environment: Variables with the run ID.

    Raises:
        InputError: The run has no ID, or the data root is not a valid URI.
    """
    if not data_root:
        return uri
    folder = storage.resolve(data_root) / _run_id(environment)
    for name in names:
        folder /= name
    return folder.uri


def begin_run(data_root: str, namespace: str, environment: Mapping[str, str] = os.environ) -> None:
    """Mark the data root and the folder of the run, so that a wrong data root fails the first step of the run.

    Args:
        data_root: The data root.
        namespace: Namespace of the run's pods; "" on one machine.
        environment: Variables with the run ID.

    Raises:
        InputError: The folder has other files, pods cannot reach it, or the run has no ID.
        StepError: The folder is not writable.
    """
    run_id = _run_id(environment)
    root = storage.resolve(data_root)
    if root.is_local and namespace:
        raise InputError(f"{data_root}: pods cannot reach this machine's files", fix="give data_root an s3:// address")
    try:
        if not is_marked(root):
            check_unused(root)
            _write(root / ROOT_MARKER, RootMarker())
        _write(root / run_id / RUN_MARKER, RunMarker(run_id=run_id, namespace=namespace))
    except PipelineError as error:
        raise type(error)(f"data_root cannot be written: {error}") from error
    except OSError as error:
        raise StepError(f"{root.uri}: data_root cannot be written ({error})", fix="check its permissions") from error


def is_marked(root: Location) -> bool:
    """Return whether a folder is a data root of this project.

    Raises:
        InputError: It is the data root of another project, or its marker is damaged.
    """
    file = root / ROOT_MARKER
    if not file.exists():
        return False
    try:
        marker = RootMarker.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(f"{file.uri}: not the marker of a data root", fix=_OTHER_FOLDER) from error
    if marker.project != PROJECT:
        raise InputError(f"{root.uri}: the data root of {marker.project}", fix=_OTHER_FOLDER)
    return True


def check_unused(root: Location) -> None:
    """Check that a folder without a marker is empty, because `cleanup` deletes folders below a data root.

    Raises:
        InputError: It has other files.
    """
    if others := [child.name for child in root.children() if child.name not in (ROOT_MARKER, WRITE_PROBE)]:
        raise InputError(
            f"{root.uri}: not a data root yet, and it has other files ({others[0]})",
            fix="give data_root an empty or new folder",
        )


def run_folders(root: Location) -> Iterator[RunFolder]:
    """Yield the folders of runs below a data root, sorted by name; other folders are ignored."""
    for child in root.children():
        file = child / RUN_MARKER
        if not file.is_file():
            continue
        try:
            marker = RunMarker.model_validate_json(file.read_bytes())
        except ValidationError:
            continue
        if marker.run_id == child.name:
            yield RunFolder(child, marker)


def _run_id(environment: Mapping[str, str]) -> str:
    run_id = environment.get(RUN_ID_VARIABLE, "")
    if not run_id:
        raise InputError("--data-root requires a run ID", fix=f"set {RUN_ID_VARIABLE}, or omit the data root")
    return checked_run_id(run_id)


def _write(file: Location, marker: Frozen) -> None:
    file.write_bytes(marker.model_dump_json(indent=1).encode())

"""The data root: a folder in the user's own store that holds the large outputs of all runs.

    DATA_ROOT/_data_root.json         says that this is a data root of this project
    DATA_ROOT/RUN_ID/_run.json        says whose run this is; the first step writes it, and finds out whether it may
    DATA_ROOT/RUN_ID/STEP/OUTPUT      a dataset, or the model bundle

Where a step writes is worked out in the step, from the run id in its environment: a run id among the arguments of a
task would keep the pipeline's cache from ever finding the task again.
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
WRITE_PROBE = "write-probe"  # a file that shows the right to write: one name, since not every store deletes it
# How to go on without an input that a cached step wrote; ends the message of the step that finds it missing.
IF_DELETED = "or, if it was deleted (cleanup, retention), the pipeline with --no-cache"


class RootMarker(Frozen):
    """Contents of `_data_root.json`."""

    project: str = PROJECT
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))


class RunMarker(Frozen):
    """Contents of `_run.json`."""

    run_id: str
    namespace: str = ""  # where the run's pods and its service are; empty for a run on one machine
    started: datetime = Field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run below a data root."""

    location: Location
    marker: RunMarker


def place(uri: str, data_root: str, *names: str, environment: Mapping[str, str] = os.environ) -> str:
    """Where a step writes a large output.

    Args:
        uri: Where the pipeline says, which holds if there is no data root.
        data_root: The data root, or "".
        names: The step's command and the output's name.
        environment: Names the run.

    Raises:
        InputError: The run has no id, or the data root is no address.
    """
    if not data_root:
        return uri
    folder = storage.resolve(data_root) / _run_id(environment)
    for name in names:
        folder /= name
    return folder.uri


def begin_run(data_root: str, namespace: str, environment: Mapping[str, str] = os.environ) -> None:
    """Mark the data root and the folder of the run, so that a wrong data root ends the run in its first step.

    Args:
        data_root: The data root.
        namespace: Where the run's pods are; "" on one machine.
        environment: Names the run.

    Raises:
        InputError: The folder holds something else, pods cannot reach it, or the run has no id.
        StepError: It cannot be written.
    """
    run_id = _run_id(environment)
    root = storage.resolve(data_root)
    if root.is_local and namespace:
        raise InputError(f"{data_root}: pods cannot reach this machine's files; give data_root an s3:// address")
    try:
        if not is_marked(root):
            check_unused(root)
            _write(root / ROOT_MARKER, RootMarker())
        _write(root / run_id / RUN_MARKER, RunMarker(run_id=run_id, namespace=namespace))
    except PipelineError as error:
        raise type(error)(f"data_root cannot be written: {error}") from error
    except OSError as error:
        raise StepError(f"{root.uri}: data_root cannot be written ({error}); check its permissions") from error


def is_marked(root: Location) -> bool:
    """Whether a folder is a data root of this project.

    Raises:
        InputError: It belongs to something else.
    """
    file = root / ROOT_MARKER
    if not file.exists():
        return False
    try:
        marker = RootMarker.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(f"{file.uri}: not the marker of a data root; give data_root another folder") from error
    if marker.project != PROJECT:
        raise InputError(f"{root.uri}: the data root of {marker.project}; give data_root another folder")
    return True


def check_unused(root: Location) -> None:
    """Refuse a folder without a marker that holds something: runs are deleted below a data root.

    Raises:
        InputError: It holds something.
    """
    if others := [child.name for child in root.children() if child.name not in (ROOT_MARKER, WRITE_PROBE)]:
        raise InputError(
            f"{root.uri}: not a data root yet, and it holds other files ({others[0]}); "
            "give data_root an empty or new folder"
        )


def run_folders(root: Location) -> Iterator[RunFolder]:
    """The folders of runs below a data root, sorted by name; what does not look like one is left out."""
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
        raise InputError(f"--data-root needs to know the run; set {RUN_ID_VARIABLE}, or leave the data root out")
    return checked_run_id(run_id)


def _write(file: Location, marker: Frozen) -> None:
    file.write_bytes(marker.model_dump_json(indent=1).encode())

"""What identifies a run: its ID and start, what it was compiled from, its data, and the parameters that were changed.

The first step of a run, which is never answered from an earlier one, writes this as an artifact. Other steps read the
ID there and not from their own environment, so that a result tells the run that it is shown in.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime

from container_component_src import storage
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.steps.data import ListArchives
from container_component_src.steps.parameters import changed_parameters
from container_component_src.steps.shared import Origin
from container_component_src.values import Frozen


class RunRecord(Frozen):
    """Identity of a run."""

    id: str  # that of Kubeflow Pipelines, or of the local run; empty if the step was run by hand
    started: AwareDatetime  # when the first step began
    origin: Origin
    archives: str
    reports: str
    parameters: dict[str, Any]  # that differ from their defaults

    def metadata(self) -> dict[str, Any]:
        """Return what the pipeline shows beside the artifact."""
        return self.model_dump(mode="json", exclude={"origin"}) | self.origin.model_dump()


def begin(
    arguments: ListArchives, parameters: Mapping[str, object], environment: Mapping[str, str] = os.environ
) -> RunRecord:
    """Return the identity of a run that begins now, and write it if the arguments name a file.

    Args:
        arguments: Arguments of the first step.
        parameters: Values of the pipeline's parameters by name.
        environment: Environment variables with the ID of the run.
    """
    run = RunRecord(
        id=environment.get(RUN_ID_VARIABLE, ""),
        started=datetime.now(UTC),
        origin=arguments.origin,
        archives=arguments.archives_path,
        reports=arguments.reports_path,
        parameters=changed_parameters(parameters),
    )
    if arguments.run_path:
        storage.resolve(arguments.run_path).write_bytes(run.model_dump_json(indent=1).encode())
    return run


def read(uri: str) -> RunRecord:
    """Read the identity of a run.

    Raises:
        InputError: The file is missing or is not one of a run.
    """
    return storage.read_document(uri, RunRecord, "the identity of a run", "name the file that list_archives wrote")

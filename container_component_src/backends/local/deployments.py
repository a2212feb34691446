"""Record of what was deployed on this machine: which bundle a service has, and which one it had before.

The folder of the deployments has the record SERVICE.json, written last, and in SERVICE/VERSION/ copies of the two
bundles, because the outputs of local runs are deleted in time.
"""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import INFO_NAME, copy_bundle
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.serving.deployment.service import DeployedBundles, Service
from container_component_src.values import Frozen, describe


class DeployedBundle(Frozen):
    """A bundle that has passed the smoke test of a service."""

    version: str = Field(pattern="^[0-9a-f]+$")  # names the folder of the copy
    source: str  # URI from which it was deployed
    run_id: str = ""  # of the run that deployed it; empty: the command was run by hand
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Record(Frozen):
    """Contents of the file of a service."""

    present: DeployedBundle
    previous: DeployedBundle | None = None


def read(deployments: Path, service_name: str) -> DeployedBundles:
    """Return the copies of the bundles of a service.

    Raises:
        InputError: The record is damaged.
    """
    found = _read(deployments, service_name)
    if found is None:
        return DeployedBundles()
    folder = deployments / service_name
    return DeployedBundles(
        str(folder / found.present.version), str(folder / found.previous.version) if found.previous else ""
    )


def record(deployments: Path, service: Service) -> None:
    """Copy the bundle of a service that has passed its smoke test, and note it as the present one.

    The same bundle again changes nothing. The copies of earlier bundles than the previous one are deleted.

    Raises:
        InputError: The record is damaged.
    """
    before, version = _read(deployments, service.name), service.model_version
    if before and before.present.version == version:
        return
    folder = deployments / service.name
    if not (folder / version / INFO_NAME).exists():
        copy_bundle(storage.resolve(service.bundle_uri), storage.resolve(str(folder / version)))
    present = DeployedBundle(version=version, source=service.bundle_uri, run_id=os.environ.get(RUN_ID_VARIABLE, ""))
    after = Record(present=present, previous=before.present if before else None)
    storage.resolve(str(_file(deployments, service.name))).write_bytes(after.model_dump_json(indent=1).encode())
    kept = {bundle.version for bundle in (after.present, after.previous) if bundle}
    for old in folder.iterdir():
        if old.name not in kept:
            shutil.rmtree(old)


def _file(deployments: Path, service_name: str) -> Path:
    return deployments / f"{service_name}.json"


def _read(deployments: Path, service_name: str) -> Record | None:
    file = _file(deployments, service_name)
    if not file.exists():
        return None
    try:
        return Record.model_validate_json(file.read_bytes())
    except ValidationError as error:
        problem = f"{file}: not a record of deployments ({describe(error)})"
        raise InputError(problem, fix="delete it, and deploy a bundle again") from error

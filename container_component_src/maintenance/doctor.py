"""Checks that this machine is as the pipeline needs it, and all checks together."""

import os
import shutil
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from container_component_src.maintenance.checks import CONNECT_TIMEOUT, Check
from container_component_src.maintenance.input_checks import Inputs, check_inputs

GIB = 2**30
MIN_DISK = 5 * GIB  # example data with all outputs of a run, and some room
MIN_MEMORY = 2 * GIB
MIN_SHARED_MEMORY = 2**26  # what Docker gives a container
PYTHONS = ((3, 11), (3, 12), (3, 13))
PACKAGES = {  # distribution: module
    "dask": "dask",
    "distributed": "distributed",
    "fsspec": "fsspec",
    "httpx": "httpx",
    "kfp": "kfp",
    "kserve": "kserve",
    "lightning": "lightning",
    "numpy": "numpy",
    "openpyxl": "openpyxl",
    "optuna": "optuna",
    "pandas": "pandas",
    "plotly": "plotly",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "s3fs": "s3fs",
    "safetensors": "safetensors",
    "scikit-learn": "sklearn",
    "torch": "torch",
    "xlrd": "xlrd",
}


def run_checks(inputs: Inputs, work_dir: Path) -> list[Check]:
    """All checks; those of data whose path is empty are left out."""
    checks = [check_python(sys.version_info[:2]), *(check_package(*package) for package in PACKAGES.items())]
    checks += [check_disk(work_dir), check_memory(), check_shared_memory(Path("/dev/shm")), check_loopback()]  # noqa: S108 - not a temporary file
    return checks + check_inputs(inputs)


def check_python(running: tuple[int, int]) -> Check:
    """Whether this is a Python that the dependencies are locked for."""
    known = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    return Check("Python", running in PYTHONS, f"{running[0]}.{running[1]}", f"install Python {known}")


def check_package(distribution: str, module: str) -> Check:
    """Whether a package is installed; it is not imported, which would take seconds for some."""
    fix = "pip install -r requirements.txt"
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        return Check(f"package {distribution}", False, "not installed", fix)
    if find_spec(module) is None:
        return Check(f"package {distribution}", False, f"{installed}, but without module {module}", fix)
    return Check(f"package {distribution}", True, installed)


def check_disk(work_dir: Path, minimum: int = MIN_DISK) -> Check:
    """Whether the working folder, or where it will be made, can be written and has room (bytes)."""
    place = next(folder for folder in (work_dir.absolute(), *work_dir.absolute().parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Check("disk", False, f"{place} cannot be written", "choose another folder with --work-dir")
    free = shutil.disk_usage(place).free
    return Check("disk", free >= minimum, f"{_gib(free)} free at {place}", f"make {_gib(minimum)} free there")


def check_memory(minimum: int = MIN_MEMORY) -> Check:
    """Whether enough memory is available (bytes)."""
    available = psutil.virtual_memory().available
    return Check("memory", available >= minimum, f"{_gib(available)} available", f"make {_gib(minimum)} free")


def check_shared_memory(folder: Path, minimum: int = MIN_SHARED_MEMORY) -> Check:
    """Whether processes can share memory; containers often have little of it (bytes)."""
    if not folder.is_dir():
        return Check("shared memory", False, f"no {folder}", f"mount a tmpfs at {folder}")
    size = shutil.disk_usage(folder).total
    return Check(
        "shared memory", size >= minimum, f"{_gib(size)} at {folder}", "start the container with --shm-size=1g"
    )


def check_loopback() -> Check:
    """Whether a port can be opened and reached on this machine: workers, training nodes and services need it."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            socket.create_connection(("127.0.0.1", port), timeout=CONNECT_TIMEOUT).close()
    except OSError as error:
        return Check("loopback ports", False, str(error), "allow connections to 127.0.0.1")
    return Check("loopback ports", True, f"port {port} opened and reached")


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"

"""Checks of this machine, and all checks of a local run together."""

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
MIN_DISK = 5 * GIB  # example data and all outputs of a run, with a margin
MIN_MEMORY = 2 * GIB
MIN_SHARED_MEMORY = 2**26  # Docker's default for containers
PYTHONS = ((3, 11), (3, 12), (3, 13))
PACKAGES = {  # distribution to module
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
    """Run all checks of this machine and of the inputs."""
    checks = [check_python(sys.version_info[:2]), *(check_package(*package) for package in PACKAGES.items())]
    checks += [check_disk(work_dir), check_memory(), check_shared_memory(Path("/dev/shm")), check_loopback()]  # noqa: S108 - not a temporary file
    return checks + check_inputs(inputs)


def check_python(running: tuple[int, int]) -> Check:
    """Check that the dependencies support this version of Python."""
    supported = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    return Check("Python", running in PYTHONS, f"{running[0]}.{running[1]}", f"install Python {supported}")


def check_package(distribution: str, module: str) -> Check:
    """Check that a package is installed, without the seconds that importing some packages takes."""
    fix = "install the locked dependencies, as `make run` does"
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        return Check(f"package {distribution}", False, "not installed", fix)
    if find_spec(module) is None:
        return Check(f"package {distribution}", False, f"{installed}, but without module {module}", fix)
    return Check(f"package {distribution}", True, installed)


def check_disk(work_dir: Path, minimum: int = MIN_DISK) -> Check:
    """Check that the working folder, or its nearest existing parent, is writable and has `minimum` bytes free."""
    place = next(folder for folder in (work_dir.absolute(), *work_dir.absolute().parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Check("disk", False, f"{place} is not writable", "choose another folder with --work-dir")
    free = shutil.disk_usage(place).free
    return Check("disk", free >= minimum, f"{_gib(free)} free at {place}", f"free {_gib(minimum)} there")


def check_memory(minimum: int = MIN_MEMORY) -> Check:
    """Check that `minimum` bytes of memory are available."""
    available = psutil.virtual_memory().available
    return Check("memory", available >= minimum, f"{_gib(available)} available", f"free {_gib(minimum)}")


def check_shared_memory(folder: Path, minimum: int = MIN_SHARED_MEMORY) -> Check:
    """Check that processes can share `minimum` bytes of memory; containers often limit it."""
    if not folder.is_dir():
        return Check("shared memory", False, f"no {folder}", f"mount a tmpfs at {folder}")
    size = shutil.disk_usage(folder).total
    return Check(
        "shared memory", size >= minimum, f"{_gib(size)} at {folder}", "start the container with --shm-size=1g"
    )


def check_loopback() -> Check:
    """Check that processes of this machine can connect to each other: workers, training nodes and services do."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            socket.create_connection(("127.0.0.1", port), timeout=CONNECT_TIMEOUT).close()
    except OSError as error:
        return Check("loopback ports", False, str(error), "allow connections to 127.0.0.1")
    return Check("loopback ports", True, f"connected to port {port}")


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"

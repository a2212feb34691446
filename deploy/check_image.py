"""Check of the image from inside a container: `make check-image`.

The image does not contain this file. Python reads it from stdin, or from the checkout of a CI job in the image.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from container_component_src import main

PROGRAM = [sys.executable, str(Path(main.__file__))]
BUILD_TOOLS = ("cc", "gcc", "g++", "clang", "ld", "make", "cmake")
EXCLUDED = ("tests", "test", "notebooks", ".cache")  # folders that the image must not contain


def problems() -> Iterator[str]:
    """Yield the problems of the image, one line each."""
    if os.getuid() == 0:
        yield "the user is root"
    for folder in ("/", Path(main.__file__).parent, sys.prefix):
        if os.access(folder, os.W_OK):
            yield f"{folder} is writable"
    with tempfile.TemporaryFile(dir=Path.home()) as file:
        file.write(b"the home directory is writable")
    if not shutil.which("sh"):
        yield "there is no sh, which Katib starts trials with"
    yield from (f"there is {tool}" for tool in BUILD_TOOLS if shutil.which(tool))
    if importlib.util.find_spec("pip"):
        yield "there is pip"
    for root in (sys.prefix, Path(main.__file__).parents[1]):
        for folder, names, files in os.walk(root):
            if "dist-info" not in folder:  # it contains licences in folders named like those of the sources
                yield from (f"there is {folder}/{name}" for name in names if name in EXCLUDED)
                yield from (f"there is {folder}/{name}" for name in files if name.endswith(".ipynb"))
    for command in [*([*PROGRAM, name] for name in main.COMMANDS), ["dask", "scheduler"], ["dask", "worker"]]:
        answer = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
        if answer.returncode != 0 or "Usage" not in answer.stdout:
            yield f"{' '.join(command)} --help ends with {answer.returncode}: {answer.stderr.strip()}"


def largest(folder: Path, count: int) -> list[tuple[int, str]]:
    """Return size in MB and name of the largest entries of a folder."""
    sizes = []
    for entry in folder.iterdir():
        files = entry.rglob("*") if entry.is_dir() else [entry]
        sizes.append((sum(file.lstat().st_size for file in files if file.is_file()) // 10**6, entry.name))
    return sorted(sizes, reverse=True)[:count]


if __name__ == "__main__":
    for size, name in largest(Path(sysconfig.get_path("purelib")), 12):
        sys.stdout.write(f"{size:6} MB {name}\n")
    found = list(problems())
    sys.exit("\n".join(found) or None)

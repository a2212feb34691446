"""Runs the steps of a local run in containers of the one image, each with its inputs and outputs and nothing else."""

import json
import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container_component_src.errors import InputError
from container_component_src.values import IMAGE_USER
from pipeline.local.processes import ProcessLauncher, ProcessResult

ENGINES = ("podman", "docker")
ENGINE_VARIABLE = "CONTAINER_ENGINE"  # with options of its own: "podman --runtime runc"
OPTIONS_VARIABLE = "CONTAINER_OPTIONS"  # of `run`, for what a machine needs: "--network host"
IMAGE_ROOT = Path("/app")  # where the image has the project, so that relative paths lead there


@dataclass(frozen=True)
class Mount:
    """A path of this machine as a container sees it."""

    source: Path
    target: Path
    writable: bool

    @property
    def option(self) -> str:
        """What `--volume` takes."""
        return f"{self.source}:{self.target}:{'rw' if self.writable else 'ro'}"


class ContainerLauncher(ProcessLauncher):
    """Runs each command in a container of its own that cannot write outside its output folder and /tmp.

    Args:
        image: Its reference; it is run by its id, so that nothing is pulled and all steps run the same image.
        cwd: What relative paths in commands count from.
        env: Environment of the containers, besides what the image sets.
        grace_seconds: Time between SIGTERM and SIGKILL.
        environment: Names engine and options; of this process by default.

    Raises:
        InputError: There is no engine, or no such image.
    """

    def __init__(
        self,
        image: str,
        cwd: Path,
        env: Mapping[str, str],
        grace_seconds: float = 5.0,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__(cwd, environment, grace_seconds)
        self._env = env
        self._engine = container_engine(environment)
        self.image_id = find_image(self._engine, image, environment)
        self._options = shlex.split(environment.get(OPTIONS_VARIABLE, ""))

    def run(self, command: Sequence[str], log: Path, env: Mapping[str, str]) -> ProcessResult:
        """Run a command to its end in a container; its memory is not measured, because it is no process of ours."""
        name = f"columbus-eclss-ad-{uuid.uuid4().hex[:12]}"
        mounts = mounts_of(command, self.cwd)
        for mount in mounts:
            if mount.writable and os.getuid() == 0:  # the container does not run as root even if this does
                os.chown(mount.source, IMAGE_USER, IMAGE_USER)
        variables = {**self._env, **env}
        options = ["--rm", "--name", name, *user_options(self._engine), *run_options(mounts, variables)]
        options += self._options
        try:
            result = super().run([*self._engine, "run", *options, self.image_id, *command], log, variables)
        finally:
            # A client that was killed leaves its container running.
            subprocess.run([*self._engine, "rm", "--force", name], env=self.env, capture_output=True, check=False)
        return ProcessResult(result.exit_code, None)


def container_engine(environment: Mapping[str, str]) -> list[str]:
    """The engine that the environment names, or the first that is installed.

    Raises:
        InputError: There is none.
    """
    engine = shlex.split(environment.get(ENGINE_VARIABLE, "")) or [name for name in ENGINES if shutil.which(name)][:1]
    if not engine or not shutil.which(engine[0]):
        raise InputError(
            f"no container engine ({' or '.join(engine[:1] or ENGINES)}): install one, or name it in {ENGINE_VARIABLE}"
        )
    return engine


def find_image(engine: Sequence[str], image: str, environment: Mapping[str, str]) -> str:
    """The id of an image that the engine has.

    Raises:
        InputError: It has none of that name.
    """
    command = [*engine, "image", "inspect", "--format", "{{.Id}}", image]
    inspected = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if inspected.returncode != 0:
        said = " ".join(inspected.stderr.split())
        raise InputError(f"{engine[0]} has no image {image} ({said}): build it with `make image`, or pull it")
    return inspected.stdout.strip()


def user_options(engine: Sequence[str]) -> list[str]:
    """Options of `run` that make outputs this user's; where that is root, the image's user runs nevertheless."""
    if os.getuid() == 0:
        return []
    # Podman without root would take the user for one of its subordinates, who may not write to the mounts.
    mapping = ["--userns", "keep-id"] if Path(engine[0]).name == "podman" else []
    return [*mapping, "--user", f"{os.getuid()}:{os.getgid()}"]


def run_options(mounts: Sequence[Mount], variables: Iterable[str]) -> list[str]:
    """Options of `run`: no rights, a read-only root file system, the mounts, and the names of environment variables.

    Their values are not named: the engine takes them from its own environment, which no other user can read.
    """
    hardening = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108
    volumes = [part for mount in mounts for part in ("--volume", mount.option)]
    named = [part for name in sorted(variables) for part in ("--env", name)]
    return [*hardening, "--shm-size", "1g", *named, *volumes]


def mounts_of(command: Sequence[str], cwd: Path) -> list[Mount]:
    """What a step may see: the files and folders that its inputs name, its output folder, and a local data root.

    Args:
        command: Of the step, with kfp's executor input as an argument; without it the step sees nothing.
        cwd: What relative paths count from.
    """
    if "--executor-input" not in command:
        return []
    executor_input = json.loads(command[list(command).index("--executor-input") + 1])
    output = Path(executor_input["outputs"]["outputFile"]).parent
    found = {output: Mount(output, output, writable=True)}
    inputs = executor_input.get("inputs", {})
    data_root = inputs.get("parameterValues", {}).get("data_root", "").removeprefix("file://")
    if data_root and "://" not in data_root:
        root = Path(data_root)
        root.mkdir(parents=True, exist_ok=True)
        found[root] = Mount(root, root, writable=True)
    for text in _texts(inputs):
        target = IMAGE_ROOT / text  # an absolute path stays as it is
        source = cwd / target.relative_to(IMAGE_ROOT) if target.is_relative_to(IMAGE_ROOT) else target
        if "/" in text and source.exists():
            found.setdefault(target, Mount(source.resolve(), target, writable=False))
    return sorted(found.values(), key=lambda mount: mount.target)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, those in texts that are JSON themselves included."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value.removeprefix("file://")
        if value[:1] in ("[", "{"):
            try:
                yield from _texts(json.loads(value))
            except ValueError:
                return

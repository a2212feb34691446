"""Launcher that runs each step of a local run in a container with access to its inputs and outputs only."""

import json
import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.steps.serving import DEPLOYMENTS_VARIABLE
from container_component_src.telemetry.views import source_of
from container_component_src.values import IMAGE_USER
from pipeline.local.processes import ProcessLauncher, ProcessResult

ENGINES = ("podman", "docker")
ENGINE_VARIABLE = "CONTAINER_ENGINE"  # may contain options, such as "podman --runtime runc"
OPTIONS_VARIABLE = "CONTAINER_OPTIONS"  # options of `run` for this machine, such as "--network host"
# Run by sh: the name of the script is the run ID, and its arguments are the command of the engine.
_REMOVE_CONTAINERS = (
    f'ids=$("$@" ps --all --quiet --filter "label={RUN_ID_VARIABLE}=$0") && test -n "$ids" && "$@" rm --force $ids'
)
IMAGE_ROOT = Path("/app")  # root folder of the project in the image, to which paths are relative


@dataclass(frozen=True)
class Mount:
    """A path of this machine that is mounted into a container."""

    source: Path
    target: Path
    writable: bool

    @property
    def option(self) -> str:
        """Value of `--volume`."""
        return f"{self.source}:{self.target}:{'rw' if self.writable else 'ro'}"


class ContainerLauncher(ProcessLauncher):
    """Launcher that runs each command in a new container, which can write only to its output folder and /tmp.

    Args:
        image: Image reference; containers use its ID, so that nothing is pulled and all steps run the same image.
        cwd: Folder to which paths in commands are relative.
        env: Variables of the containers, in addition to those of the image.
        grace_seconds: Time between SIGTERM and SIGKILL.
        environment: Variables that name the engine and its options; by default those of this process.

    Raises:
        InputError: No engine is installed, or it does not have the image.
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

    def removal(self, run_id: str) -> list[str]:
        """Return a command that removes the containers of a run: a killed client leaves its container running."""
        return ["sh", "-c", _REMOVE_CONTAINERS, run_id, *self._engine]

    def run(
        self, command: Sequence[str], log: Path, env: Mapping[str, str], watch: Callable[[], None] = lambda: None
    ) -> ProcessResult:
        """Run a command in a container and wait for its end; its memory is not measured."""
        name = f"columbus-eclss-ad-{uuid.uuid4().hex[:12]}"
        mounts = mounts_of(command, self.cwd, self._env.get(DEPLOYMENTS_VARIABLE, ""))
        for mount in mounts:
            if mount.writable and os.getuid() == 0:  # the container never runs as root
                os.chown(mount.source, IMAGE_USER, IMAGE_USER)
        variables = {**self._env, **env}
        label = f"{RUN_ID_VARIABLE}={variables.get(RUN_ID_VARIABLE, '')}"
        options = ["--rm", "--name", name, "--label", label]
        options += [*user_options(self._engine), *run_options(mounts, variables)]
        options += self._options
        try:
            result = super().run([*self._engine, "run", *options, self.image_id, *command], log, variables, watch)
        finally:
            # A killed client leaves its container running.
            subprocess.run([*self._engine, "rm", "--force", name], env=self.env, capture_output=True, check=False)
        return ProcessResult(result.exit_code, None)


def container_engine(environment: Mapping[str, str]) -> list[str]:
    """Return the command of the engine that the environment names, or of the first one that is installed.

    Raises:
        InputError: No engine is installed.
    """
    engine = shlex.split(environment.get(ENGINE_VARIABLE, "")) or [name for name in ENGINES if shutil.which(name)][:1]
    if not engine or not shutil.which(engine[0]):
        raise InputError(
            f"no container engine ({' or '.join(engine[:1] or ENGINES)})",
            fix=f"install one, or name it in {ENGINE_VARIABLE}",
        )
    return engine


def find_image(engine: Sequence[str], image: str, environment: Mapping[str, str]) -> str:
    """Return the ID of an image.

    Raises:
        InputError: The engine does not have the image.
    """
    command = [*engine, "image", "inspect", "--format", "{{.Id}}", image]
    inspected = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if inspected.returncode != 0:
        reason = " ".join(inspected.stderr.split())
        raise InputError(f"{engine[0]} has no image {image} ({reason})", fix="build it with `make image`, or pull it")
    return inspected.stdout.strip()


def user_options(engine: Sequence[str]) -> list[str]:
    """Return options of `run` that make this user the owner of outputs; for root, containers keep the image's user."""
    if os.getuid() == 0:
        return []
    # Rootless podman would map the user to a subordinate ID, which cannot write to the mounts.
    mapping = ["--userns", "keep-id"] if Path(engine[0]).name == "podman" else []
    return [*mapping, "--user", f"{os.getuid()}:{os.getgid()}"]


def run_options(mounts: Sequence[Mount], variables: Iterable[str]) -> list[str]:
    """Return options of `run`: no privileges, a read-only root file system, mounts and names of variables.

    The engine reads the variables' values from its own environment, which other users cannot see.
    """
    hardening = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108
    volumes = [part for mount in mounts for part in ("--volume", mount.option)]
    named = [part for name in sorted(variables) for part in ("--env", name)]
    return [*hardening, "--shm-size", "1g", *named, *volumes]


def mounts_of(command: Sequence[str], cwd: Path, deployments: str = "") -> list[Mount]:
    """Return the mounts of a step: the paths named by its inputs, its output folder, and a local data root.

    A step that names the service also gets the folder of the deployed bundles.

    The dataset that a view refers to is mounted with the view.

    Args:
        command: Command of the step with kfp's executor input as an argument; without it there are no mounts.
        cwd: Folder to which paths are relative.
        deployments: Folder of the deployed bundles; empty: there is none.
    """
    if "--executor-input" not in command:
        return []
    executor_input = json.loads(command[list(command).index("--executor-input") + 1])
    output = Path(executor_input["outputs"]["outputFile"]).parent
    found = {output: Mount(output, output, writable=True)}
    inputs = executor_input.get("inputs", {})
    data_root = inputs.get("parameterValues", {}).get("data_root", "").removeprefix("file://")
    shared = [data_root] if data_root and "://" not in data_root else []
    shared += [deployments] if deployments and "--service-name" in command else []
    for root in map(Path, shared):
        root.mkdir(parents=True, exist_ok=True)
        found[root] = Mount(root, root, writable=True)
    texts = list(_texts(inputs))
    while texts:
        text = texts.pop()
        target = IMAGE_ROOT / text  # an absolute path is not changed
        source = cwd / target.relative_to(IMAGE_ROOT) if target.is_relative_to(IMAGE_ROOT) else target
        if "/" in text and source.exists() and target not in found:
            found[target] = Mount(source.resolve(), target, writable=False)
            texts.append(source_of(storage.resolve(str(source))))
    return sorted(found.values(), key=lambda mount: mount.target)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, including those inside of texts that are JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value.removeprefix("file://")
        if value[:1] in ("[", "{"):
            try:
                yield from _texts(json.loads(value))
            except ValueError:
                return

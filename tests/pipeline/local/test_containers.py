import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from container_component_src.errors import InputError
from container_component_src.telemetry.manifest import Manifest
from container_component_src.telemetry.views import MANIFEST_NAME
from pipeline.local.containers import ContainerLauncher, Mount, container_engine, mounts_of, run_options, user_options
from pipeline.local.processes import RunInterruptedError


def step(folder: Path, *program: str, **inputs: object) -> list[str]:
    """A command with an executor input as kfp makes it."""
    output = folder / "outputs" / "a-step"
    output.mkdir(parents=True, exist_ok=True)
    executor_input = {
        "inputs": {"parameterValues": inputs},
        "outputs": {"outputFile": str(output / "executor_output.json")},
    }
    return [*program, "--executor-input", json.dumps(executor_input)]


def calls(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


def test_step_reads_its_inputs_and_writes_to_its_own_folder(tmp_path: Path) -> None:
    for name in ("data/telemetry", "data/other", "outputs/one", "outputs/two"):
        (tmp_path / name).mkdir(parents=True)
    command = step(
        tmp_path,
        archives_path="data/telemetry",
        partitions=[str(tmp_path / "outputs/one"), f"file://{tmp_path}/outputs/two"],
        listed=json.dumps([{"uri": "/app/data/telemetry"}]),  # as a step before this one calls it
        backend="data",  # a word, although there is a folder of that name
        absent="data/absent",
        columns='["EVENT GMT (DOY/HH:MM:SS)", {',
    )
    output = tmp_path / "outputs" / "a-step"
    assert mounts_of(command, tmp_path) == [
        Mount(tmp_path / "data/telemetry", Path("/app/data/telemetry"), writable=False),
        Mount(output, output, writable=True),
        Mount(tmp_path / "outputs/one", tmp_path / "outputs/one", writable=False),
        Mount(tmp_path / "outputs/two", tmp_path / "outputs/two", writable=False),
    ]


def test_step_can_write_below_a_local_data_root(tmp_path: Path) -> None:
    output, root = tmp_path / "outputs" / "a-step", tmp_path / "runs"
    command = step(tmp_path, data_root=f"file://{root}", df_path=str(root))
    assert mounts_of(command, tmp_path) == [Mount(output, output, writable=True), Mount(root, root, writable=True)]
    assert root.is_dir()
    assert len(mounts_of(step(tmp_path, data_root="s3://bucket/runs"), tmp_path)) == 1


def test_steps_that_name_the_service_share_the_folder_of_deployments(tmp_path: Path) -> None:
    output, folder = tmp_path / "outputs" / "a-step", tmp_path / "deployments"
    own = Mount(output, output, writable=True)
    naming, other = step(tmp_path, "main.py", "--service-name", "eclss"), step(tmp_path, "main.py")
    assert mounts_of(other, tmp_path, str(folder)) == [own]
    assert not folder.exists()
    assert mounts_of(naming, tmp_path, str(folder)) == [Mount(folder, folder, writable=True), own]
    assert folder.is_dir()
    assert mounts_of(naming, tmp_path) == [own]


def test_step_reads_the_dataset_of_a_view(tmp_path: Path) -> None:
    views = {"outputs/inner": f"{tmp_path}/outputs/outer", "outputs/outer": f"{tmp_path}/data/d", "data/d": ""}
    for name, source in views.items():
        (tmp_path / name).mkdir(parents=True)
        manifest = Manifest(timestamp_col="t", channels=("a",), partitions=(), source=source)
        (tmp_path / name / MANIFEST_NAME).write_text(manifest.model_dump_json())
    (tmp_path / "outputs/file").touch()
    command = step(tmp_path, train_df_path=str(tmp_path / "outputs/inner"), other=str(tmp_path / "outputs/file"))
    found = {mount.source.relative_to(tmp_path).as_posix(): mount.writable for mount in mounts_of(command, tmp_path)}
    assert found == {**dict.fromkeys([*views, "outputs/file"], False), "outputs/a-step": True}


def test_step_without_an_executor_input_has_no_mounts(tmp_path: Path) -> None:
    assert mounts_of(["python", "main.py", "cleanup", "--run-id", "id"], tmp_path) == []


def test_container_has_no_privileges_and_hides_its_secrets() -> None:
    options = run_options([Mount(Path("/data"), Path("/app/data"), writable=False)], ["AWS_SECRET_ACCESS_KEY", "A"])
    named = [options[index + 1] for index, option in enumerate(options) if option == "--env"]
    assert named == ["A", "AWS_SECRET_ACCESS_KEY"]
    assert "/data:/app/data:ro" in options
    assert {"--read-only", "no-new-privileges", "ALL"} <= set(options)


def test_container_of_a_command_is_removed(tmp_path: Path, engine: dict[str, str]) -> None:
    launcher = ContainerLauncher("image:tag", tmp_path, {"RUN": "one"}, environment=engine)
    program = "import os; print(os.environ['RUN'], os.environ['TASK']); raise SystemExit(3)"
    result = launcher.run(step(tmp_path, sys.executable, "-c", program), tmp_path / "log", {"TASK": "two"})
    assert (result.exit_code, result.peak_rss_mib) == (3, None)
    assert (tmp_path / "log").read_text() == "one two\n"
    _, started, removed = calls(tmp_path)
    assert started[:2] == ["--quiet", "run"]
    assert started[started.index("--network") + 1] == "of mine"
    assert removed == ["--quiet", "rm", "--force", started[started.index("--name") + 1]]
    assert "one" not in started


def test_interrupted_container_is_removed(tmp_path: Path, engine: dict[str, str]) -> None:
    launcher = ContainerLauncher("image:tag", tmp_path, {}, grace_seconds=1, environment=engine)

    def interrupt() -> None:
        while len(calls(tmp_path)) < 2:
            time.sleep(0.05)
        launcher.interrupt()

    threading.Thread(target=interrupt).start()
    with pytest.raises(RunInterruptedError):
        launcher.run(step(tmp_path, sys.executable, "-c", "import time; time.sleep(600)"), tmp_path / "log", {})
    assert calls(tmp_path)[-1][1:3] == ["rm", "--force"]


def test_missing_image_is_rejected(tmp_path: Path, engine: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"has no image image:other \(no such image\); build it"):
        ContainerLauncher("image:other", tmp_path, {}, environment=engine)
    assert ContainerLauncher("image:tag", tmp_path, {}, environment=engine).image_id == "sha256:1"


@pytest.mark.parametrize(
    ("user", "engine", "options"),
    [
        (0, "podman", []),  # the image's own user
        (1001, "docker", ["--user", "1001:1001"]),
        (1001, "/usr/bin/podman", ["--userns", "keep-id", "--user", "1001:1001"]),
    ],
)
def test_outputs_belong_to_the_user(
    user: int, engine: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: user)
    monkeypatch.setattr(os, "getgid", lambda: user)
    assert user_options([engine, "--log-level", "error"]) == options


def test_missing_engine_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no container engine \(absent-engine\); install one, or name it"):
        container_engine({"CONTAINER_ENGINE": "absent-engine --option"})
    assert container_engine({"CONTAINER_ENGINE": "sh -c"}) == ["sh", "-c"]

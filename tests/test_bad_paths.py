"""Paths of all commands that name no file or folder: refused before any work, and left as they are."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_component_src.main import COMMANDS
from container_component_src.steps.declaration import Arguments, OutputArtifact
from container_component_src.steps.drift import CheckDrift
from container_component_src.steps.maintenance import Doctor, GenerateTelemetry
from container_component_src.steps.parameters import PIPELINE_STEPS
from container_component_src.steps.serving import QueryModel, ServePredictor
from container_component_src.steps.streaming import ScoreStream
from container_component_src.steps.training import TrainingArguments
from tests.helpers import Invoke, assert_refused

MODELS: tuple[type[Arguments], ...] = (*PIPELINE_STEPS, TrainingArguments)
_OTHER_OUTPUTS: tuple[tuple[type[Arguments], str], ...] = (
    (GenerateTelemetry, "target_path"),
    (QueryModel, "output"),
    (CheckDrift, "output"),
    (CheckDrift, "page"),
    (ScoreStream, "alarms"),
    (ScoreStream, "state_file"),
    (ScoreStream, "payload_log"),
)


def _outputs() -> Iterator[tuple[type[Arguments], str]]:
    """Yield the options of all commands that name an output."""
    for model in MODELS:
        yield from ((model, name) for name, _, role in model.fields() if isinstance(role, OutputArtifact))
    yield from _OTHER_OUTPUTS


OUTPUTS = [pytest.param(*output, id=f"{output[0].command} {output[1]}") for output in _outputs()]


def _command(model: type[Arguments], folder: Path, **given: object) -> list[str]:
    """Return a command line with these options, and paths below a folder for the others that are required."""
    given = {"url": "http://127.0.0.1:9", **given} if model in (QueryModel, ScoreStream) else given
    values = {name: folder / name for name, field in model.model_fields.items() if field.is_required()} | given
    return [
        model.command,
        *(text for name, value in values.items() for text in (f"--{name.replace('_', '-')}", str(value))),
    ]


def _inputs(model: type[Arguments]) -> list[str]:
    """Return the names of the options of a command that name an input."""
    return [
        name
        for name, _, role in model.fields()
        if name.endswith(("_path", "_paths", "_dir", "_file")) or name == "input"
        if not isinstance(role, OutputArtifact) and (model, name) not in _OTHER_OUTPUTS
    ]


_MORE_READERS: tuple[type[Arguments], ...] = (QueryModel, CheckDrift, ServePredictor, Doctor)
READERS: list[type[Arguments]] = [model for model in (*MODELS, *_MORE_READERS) if _inputs(model)]


@pytest.mark.usefixtures("thread_backend")
@pytest.mark.parametrize("kind", ["pipe.parquet", "device.csv", "loop", "file/below", "x" * 300, "y/" * 3000, "nul\0"])
@pytest.mark.parametrize("model", READERS, ids=lambda model: model.command)
def test_inputs_that_are_no_files(model: type[Arguments], kind: str, invoke: Invoke, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    outcome = invoke(*_command(model, tmp_path / "x", **dict.fromkeys(_inputs(model), tmp_path / kind)))
    assert outcome.code == 2 or (model is Doctor and outcome.code == 1), outcome
    assert "Traceback" not in outcome.stderr


def test_all_commands_with_outputs_are_here() -> None:
    without = {"cleanup", "console", "deploy_to_kserve", "doctor", "serve_predictor", "serve_transformer"}
    assert {model.command for model, _ in _outputs()} == set(COMMANDS) - without


@pytest.mark.parametrize(("model", "name"), OUTPUTS)
def test_a_device_is_no_output(model: type[Arguments], name: str, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/full")
    for path in ("/dev/full", tmp_path / "link"):
        assert_refused(invoke(*_command(model, tmp_path / "x", **{name: path})), path)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize(("model", "name"), OUTPUTS)
def test_paths_that_cannot_be(model: type[Arguments], name: str, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in ("file/below", "loop", "x" * 300, "y/" * 3000, "nul\0"):
        outcome = invoke(*_command(model, tmp_path / "x", **{name: tmp_path / path}))
        assert_refused(outcome, "nul" if "\0" in path else path[:200])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]

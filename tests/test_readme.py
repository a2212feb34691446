"""The commands of docs/commands.md run as they are written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from container_component_src.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
WALK_THROUGH = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def commands_by_hand() -> str:
    """The shell block that runs every step by hand."""
    block = re.search(r"<!-- commands: start -->\n```sh\n(.*?)```\n<!-- commands: end -->", WALK_THROUGH, re.DOTALL)
    assert block
    return block[1]


def test_every_command_has_an_example() -> None:
    assert [name for name in COMMANDS if f" {name} " not in WALK_THROUGH] == []


@pytest.mark.slow
def test_commands_by_hand_run_in_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "container_component_src", tmp_path / "container_component_src")
    script = commands_by_hand().replace("source .venv/bin/activate\n", "")
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr + finished.stdout[-2000:]
    out = tmp_path / "local_data" / "by_hand"
    assert sorted(path.name for path in (out / "model").iterdir()) == [
        *("MODEL_CARD.md", "bundle.json", "model.safetensors", "model_card.json")
    ]
    assert (out / "report.html").read_text(encoding="utf-8").count("<html") == 1

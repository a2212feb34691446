"""A project and a working directory for local runs."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.local import LocalRunOptions, RunSummary, run_locally
from tests.pipeline import local_pipelines


class Bench:
    """A project, a working directory and what was shown on the terminal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.project = local_pipelines.make_project(directory)
        self.work_dir = directory / "work"
        self.shown = ""

    def run(self, pipeline: Any, **options: Any) -> RunSummary:
        shown = io.StringIO()
        console = Console(file=shown, width=200)
        arguments = options.pop("arguments", {})
        yaml_path = local_pipelines.compiled(pipeline, self.directory)
        try:
            return run_locally(
                LocalRunOptions(yaml_path, arguments, self.work_dir, project_root=self.project, **options), console
            )
        finally:
            self.shown = shown.getvalue()

    def calls(self) -> list[str]:
        return sorted(local_pipelines.calls(self.project))

    @property
    def last_run(self) -> Path:
        return (self.work_dir / "last_run").resolve()

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.work_dir / "last_run" / "summary.json").read_text())
        return document


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)

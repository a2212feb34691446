"""The compiled pipeline: each combination of settings is compiled and parsed once per test session."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from container_component_src.settings import Settings
from container_component_src.steps.shared import Origin
from pipeline import steps
from pipeline.compilation import compile_pipeline

_compile, _load = compile_pipeline, steps.load_pipeline_spec


def compile_once(
    settings: Settings,
    output: Path,
    cache: bool = True,
    parameters: Mapping[str, object] | None = None,
    origin: Origin | None = None,
) -> None:
    """Stand in for `compile_pipeline`."""
    output.write_text(_compiled(settings.model_dump_json(), cache, json.dumps(parameters), origin))


def load_once(package: Path) -> Any:
    """Stand in for `load_pipeline_spec`; the result is shared and must not be changed."""
    return _loaded(package.read_text())


@functools.cache
def _compiled(settings: str, cache: bool, parameters: str, origin: Origin | None) -> str:
    with TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        _compile(Settings.model_validate_json(settings), package, cache, json.loads(parameters), origin)
        return package.read_text()


@functools.cache
def _loaded(package: str) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        path.write_text(package)
        return _load(path)

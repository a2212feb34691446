"""Compile the pipeline to YAML."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kfp import compiler

from container_component_src.errors import InputError
from container_component_src.files import check_output
from container_component_src.settings import Settings
from pipeline.arguments import parse_arguments
from pipeline.options import PIPELINE_FILE
from pipeline.pipeline_definition import build_pipeline


def with_tag(settings: Settings, tag: str) -> Settings:
    """Return the settings with another tag of the image.

    Raises:
        InputError: The tag is not valid.
    """
    if not re.fullmatch(r"\w[\w.-]{0,127}", tag, re.ASCII):
        raise InputError(f"'{tag}' is not a valid image tag", fix="use letters, digits, '_', '.' and '-'")
    return settings.model_copy(update={"image": settings.image.model_copy(update={"tag": tag})})


def compile_pipeline(
    settings: Settings, output: Path, cache: bool = True, parameters: Mapping[str, object] | None = None
) -> None:
    """Write the pipeline as YAML, without network access.

    Args:
        settings: The configuration; its `[parameters]` become defaults of the pipeline's parameters.
        output: The file.
        cache: Whether steps may be answered from earlier runs.
        parameters: Further defaults, which override those of the configuration.

    Raises:
        InputError: A parameter is unknown or has a value of another type, or the file cannot be written.
    """
    pipeline = build_pipeline(settings, cache)
    defaults = parse_arguments(pipeline.pipeline_spec.root, {**settings.parameters, **(parameters or {})})
    output = output.expanduser()
    check_output(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compile-") as folder:
            unfinished = Path(folder) / PIPELINE_FILE
            compiler.Compiler().compile(pipeline, str(unfinished), pipeline_parameters=defaults)
            unfinished.replace(output.resolve())
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror})", fix="choose another path") from error

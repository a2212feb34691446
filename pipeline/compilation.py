"""Compile the pipeline to YAML."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from kfp import compiler

from container_component_src.errors import InputError
from container_component_src.files import check_output
from container_component_src.settings import Image, Settings
from container_component_src.steps.shared import Origin
from container_component_src.values import validated
from pipeline.arguments import parse_arguments
from pipeline.options import PIPELINE_FILE
from pipeline.pipeline_definition import build_pipeline


def with_tag(settings: Settings, tag: str) -> Settings:
    """Return the settings with another tag of the image.

    Raises:
        InputError: The tag is not valid.
    """
    image = validated(Image, {**settings.image.model_dump(), "tag": tag}, "image tag")
    return settings.model_copy(update={"image": image})


def compile_pipeline(
    settings: Settings,
    output: Path,
    cache: bool = True,
    parameters: Mapping[str, object] | None = None,
    origin: Origin | None = None,
) -> None:
    """Write the pipeline as YAML, without network access.

    Args:
        settings: The configuration; its `[parameters]` become defaults of the pipeline's parameters.
        output: The file.
        cache: Whether steps may be answered from earlier runs.
        parameters: Further defaults, which override those of the configuration.
        origin: What the runs of the pipeline say they were compiled from.

    Raises:
        InputError: A parameter is unknown or has a value of another type, or the file cannot be written.
    """
    pipeline = build_pipeline(settings, cache, origin)
    defaults = parse_arguments(pipeline.pipeline_spec.root, {**settings.parameters, **(parameters or {})})
    try:
        check_output(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compile-") as folder:
            unfinished = Path(folder) / PIPELINE_FILE
            compiler.Compiler().compile(pipeline, str(unfinished), pipeline_parameters=defaults)
            unfinished.replace(output.resolve())
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InputError(f"{output}: cannot be written ({reason})", fix="choose another path") from error

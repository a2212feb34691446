"""What a step hands back to Kubeflow Pipelines: output parameters and the metadata of its artifacts.

A step receives the executor input of its task (`{{$}}` in the component) as JSON. It names a file for every output
parameter, the URI of every output artifact, and the executor output file, which carries artifact metadata (and so the
values of Metrics artifacts). Run by hand, a step has none of these and shows its outputs on stdout.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from container_component_src import storage
from container_component_src.errors import StepError

Parameter = str | int | float | bool | list[Any] | dict[str, Any]


def publish(
    executor_input: str,
    parameters: Mapping[str, Parameter] | None = None,
    artifacts: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a step's outputs where its task expects them.

    Args:
        executor_input: JSON of KFP's ExecutorInput, or "" when the step is run by hand.
        parameters: Output parameters by name.
        artifacts: Metadata of output artifacts by name.

    Raises:
        StepError: A value is NaN or infinite (the backend refuses these), or the task has no output of that name.
    """
    parameters, artifacts = parameters or {}, artifacts or {}
    if not executor_input:
        click.echo(_json({**parameters, **artifacts}, indent=2))
        return
    expected = json.loads(executor_input)["outputs"]
    unknown = {*parameters} - {*expected.get("parameters", {})} | {*artifacts} - {*expected.get("artifacts", {})}
    if unknown:
        raise StepError(f"the component has no output named {sorted(unknown)}; declare it in pipeline/components.py")
    for name, value in parameters.items():
        text = value if isinstance(value, str) else _json(value)
        _write(expected["parameters"][name]["outputFile"], text)
    entries = {name: expected["artifacts"][name]["artifacts"][0] for name in artifacts}
    output = {name: {"artifacts": [{**entries[name], "metadata": dict(artifacts[name])}]} for name in artifacts}
    _write(expected["outputFile"], _json({"artifacts": output}))


def _json(value: object, indent: int | None = None) -> str:
    try:
        return json.dumps(value, allow_nan=False, indent=indent)
    except ValueError as error:
        raise StepError(f"an output is NaN or infinite, which the pipeline backend refuses: {value}") from error


def _write(path: str, text: str) -> None:
    storage.resolve(str(Path(path))).write_bytes(text.encode())

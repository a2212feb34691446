"""What a step hands back to Kubeflow Pipelines: output parameters and the metadata of its artifacts.

A step receives the executor input of its task (`{{$}}` in the component) as JSON. It names a file for every output
parameter, the URI of every output artifact, and the executor output file, which carries artifact metadata (and so the
values of Metrics artifacts). Run by hand, a step has none of these and shows its outputs on stdout.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from container_component_src import storage
from container_component_src.errors import StepError

if TYPE_CHECKING:
    from container_component_src.telemetry.dataset import Dataset

Parameter = str | int | float | bool | list[Any] | dict[str, Any]
DATA_URI = "data_uri"  # metadata of an artifact whose data is not where the pipeline keeps artifacts


def publish(
    executor_input: str,
    parameters: Mapping[str, Parameter] | None = None,
    artifacts: Mapping[str, Mapping[str, Any]] | None = None,
    datasets: Mapping[str, "Dataset"] | None = None,
) -> None:
    """Write a step's outputs where its task expects them.

    Args:
        executor_input: JSON of KFP's ExecutorInput, or "" when the step is run by hand.
        parameters: Output parameters by name.
        artifacts: Metadata of output artifacts by name.
        datasets: Datasets by name: each is an artifact of this name, and its address a parameter `NAME_uri`.

    Raises:
        StepError: A value is NaN or infinite (the backend refuses these), or the task has no output of that name.
    """
    datasets = datasets or {}
    addresses = {name: dataset.location.uri for name, dataset in datasets.items()}
    parameters = {**(parameters or {}), **{f"{name}_uri": address for name, address in addresses.items()}}
    artifacts = {**(artifacts or {}), **{name: dataset.manifest.metadata() for name, dataset in datasets.items()}}
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
    output = {}
    for name, metadata in artifacts.items():
        entry = expected["artifacts"][name]["artifacts"][0]
        output[name] = {"artifacts": [_described(entry, metadata, addresses.get(name, ""))]}
    _write(expected["outputFile"], _json({"artifacts": output}))


def given_parameters(executor_input: str) -> dict[str, Any]:
    """Return the values of a task's input parameters by name; none if the step is run by hand."""
    values: dict[str, Any] = json.loads(executor_input or "{}").get("inputs", {}).get("parameterValues", {})
    return values


def _described(entry: Mapping[str, Any], metadata: Mapping[str, Any], address: str) -> dict[str, Any]:
    """An artifact's entry with its metadata and, where its data is elsewhere, the address of that.

    KFP's launcher fails a step that gives an artifact an address outside of the pipeline's own store, so there the
    address goes into the metadata. A local run takes any, and then notices by itself when the data is gone.
    """
    if not address or storage.resolve(entry["uri"]).uri == address:
        return {**entry, "metadata": dict(metadata)}
    uri = entry["uri"] if "://" in entry["uri"] else address
    return {**entry, "uri": uri, "metadata": {**metadata, DATA_URI: address}}


def _json(value: object, indent: int | None = None) -> str:
    try:
        return json.dumps(value, allow_nan=False, indent=indent)
    except ValueError as error:
        raise StepError(f"an output is NaN or infinite, which the pipeline backend refuses: {value}") from error


def _write(path: str, text: str) -> None:
    storage.resolve(str(Path(path))).write_bytes(text.encode())

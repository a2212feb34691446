"""Outputs of a step for Kubeflow Pipelines: output parameters and the metadata of its artifacts.

A step receives the executor input of its task (`{{$}}` in the component) as JSON. It has the path of a file for every
output parameter, the URI of every output artifact, and the path of the executor output file for the metadata of
artifacts (and so for the values of Metrics artifacts). A step that is run by hand prints its outputs to stdout.
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
DATA_URI = "data_uri"  # metadata key of an artifact whose data is outside the pipeline's store


def publish(
    executor_input: str,
    parameters: Mapping[str, Parameter] | None = None,
    artifacts: Mapping[str, Mapping[str, Any]] | None = None,
    datasets: Mapping[str, "Dataset"] | None = None,
    uris: Mapping[str, str] | None = None,
) -> None:
    """Write the outputs of a step to the files of its task.

    Args:
        executor_input: JSON of KFP's ExecutorInput, or "" when the step is run by hand.
        parameters: Output parameters by name.
        artifacts: Metadata of output artifacts by name.
        datasets: Datasets by name; each is an artifact of this name, and its URI the parameter `NAME_uri`.
        uris: URIs of other artifacts that the step wrote to a store itself, by name; each is the parameter `NAME_uri`.

    Raises:
        StepError: A value is NaN or infinite, which KFP does not accept, or the task has no output of that name.
    """
    datasets = datasets or {}
    uris = {**(uris or {}), **{name: dataset.location.uri for name, dataset in datasets.items()}}
    parameters = {**(parameters or {}), **{f"{name}_uri": uri for name, uri in uris.items()}}
    artifacts = {**(artifacts or {}), **{name: dataset.manifest.metadata() for name, dataset in datasets.items()}}
    if not executor_input:
        click.echo(_json({**parameters, **artifacts}, indent=2))
        return
    expected = json.loads(executor_input)["outputs"]
    unknown = {*parameters} - {*expected.get("parameters", {})} | {*artifacts} - {*expected.get("artifacts", {})}
    if unknown:
        raise StepError(
            f"the component has no output named {sorted(unknown)}", fix="declare it in the step's arguments"
        )
    for name, value in parameters.items():
        text = value if isinstance(value, str) else _json(value)
        _write(expected["parameters"][name]["outputFile"], text)
    output = {}
    for name, metadata in artifacts.items():
        entry = expected["artifacts"][name]["artifacts"][0]
        output[name] = {"artifacts": [_artifact(entry, metadata, uris.get(name, ""))]}
    _write(expected["outputFile"], _json({"artifacts": output}))


def given_parameters(executor_input: str) -> dict[str, Any]:
    """Return the values of a task's input parameters by name; none if the step is run by hand."""
    values: dict[str, Any] = json.loads(executor_input or "{}").get("inputs", {}).get("parameterValues", {})
    return values


def _artifact(entry: Mapping[str, Any], metadata: Mapping[str, Any], data_uri: str) -> dict[str, Any]:
    """Return an artifact's entry with its metadata, and with the URI of its data if that is stored elsewhere.

    KFP's launcher fails a step whose artifact has a URI outside the pipeline's own store, so there the metadata has the
    URI of the data. A local run accepts any URI, and then detects by itself that the data was deleted.
    """
    if not data_uri or storage.resolve(entry["uri"]).uri == data_uri:
        return {**entry, "metadata": dict(metadata)}
    uri = entry["uri"] if "://" in entry["uri"] else data_uri
    return {**entry, "uri": uri, "metadata": {**metadata, DATA_URI: data_uri}}


def _json(value: object, indent: int | None = None) -> str:
    try:
        return json.dumps(value, allow_nan=False, indent=indent)
    except ValueError as error:
        raise StepError(f"an output is NaN or infinite, which Kubeflow Pipelines does not accept: {value}") from error


def _write(path: str, text: str) -> None:
    storage.resolve(str(Path(path))).write_bytes(text.encode())

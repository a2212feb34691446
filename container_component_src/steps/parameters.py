"""The parameters of the pipeline: which there are, and whether their values can be used.

The check runs wherever values are given: when the pipeline is compiled or submitted, and in its first step, because the
user interface of Kubeflow checks types only.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from container_component_src.errors import InputError
from container_component_src.steps.calibration import Calibrate
from container_component_src.steps.data import (
    CreateTrainValTestSplit,
    FitScaler,
    LabelTelemetry,
    ListArchives,
    RunDaskPreprocessing,
    ScaleDataframes,
    SplitParquetFile,
)
from container_component_src.steps.declaration import Arguments, adapter
from container_component_src.steps.description import list_of, parse_text
from container_component_src.steps.evaluation import CheckGate, RunEvaluation, VisualizeResults
from container_component_src.steps.maintenance import Cleanup
from container_component_src.steps.promotion import CompareModels
from container_component_src.steps.serving import DeployToKserve
from container_component_src.steps.sizes import AvailableMemory, PodSize, check_memory, largest
from container_component_src.steps.training import RunPyTorchJob, least_batch_size
from container_component_src.steps.tuning import RunKatibExperiment, SearchSpace
from container_component_src.values import innermost, shown

DEFAULT_BACKEND = "kubernetes"  # of the pipeline; a step run by hand is local by default
# In the order in which the pipeline runs them, and so in the order of its parameters.
PIPELINE_STEPS: tuple[type[Arguments], ...] = (
    ListArchives,
    SplitParquetFile,
    RunDaskPreprocessing,
    LabelTelemetry,
    CreateTrainValTestSplit,
    FitScaler,
    ScaleDataframes,
    RunKatibExperiment,
    RunPyTorchJob,
    Calibrate,
    RunEvaluation,
    CheckGate,
    CompareModels,
    VisualizeResults,
    DeployToKserve,
    Cleanup,
)


@cache
def pipeline_parameters() -> dict[str, FieldInfo]:
    """Return the declaration of every parameter of the pipeline by its name."""
    found: dict[str, FieldInfo] = {}
    for step in PIPELINE_STEPS:
        for name, parameter in step.parameters().items():
            found.setdefault(parameter, step.model_fields[name])
    return found


def check_parameters(
    values: Mapping[str, object], training: PodSize | None = None, sources: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Check values of pipeline parameters as the steps will.

    Args:
        values: Values by the name of the parameter, as text or as the parameter's type; the others have their defaults.
        training: Size of a pod that trains; None if it is not known.
        sources: Files that give values, by the name of the parameter.

    Raises:
        InputError: A parameter is unknown, or steps cannot use its value.
    """
    known = pipeline_parameters()
    for name in values:
        if name not in known:
            similar = difflib.get_close_matches(name, known, n=1)
            fix = f"did you mean '{similar[0]}'?" if similar else f"use one of {', '.join(sorted(known))}"
            raise InputError(f"unknown {_named(name, sources)}", fix=fix)
    values = {"backend": DEFAULT_BACKEND, **values}
    problems = dict.fromkeys(problem for step in PIPELINE_STEPS for problem in _problems(step, values, sources))
    if problems := problems or dict.fromkeys(_batches_feed_every_node(values)):
        raise InputError("; ".join(problems))
    _check_sizes(values, training)


def changed_parameters(values: Mapping[str, object]) -> dict[str, Any]:
    """Return the values that differ from the declared defaults, as JSON values by the name of the parameter.

    Args:
        values: Valid values by the name of the parameter, as text or as the parameter's type. Those of parameters that
            have no default, and of which every value would differ, are left out.
    """
    found = {}
    for name, field in pipeline_parameters().items():
        if name in values and not field.is_required():
            value = _value(field, values[name])
            if value != (DEFAULT_BACKEND if name == "backend" else field.default):
                found[name] = (
                    list_of(value) if isinstance(value, tuple) else adapter(field).dump_python(value, mode="json")
                )
    return found


def _named(parameter: str, sources: Mapping[str, str]) -> str:
    return f"pipeline parameter '{parameter}'" + (f" in {sources[parameter]}" if parameter in sources else "")


def _problems(step: type[Arguments], values: Mapping[str, object], sources: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the values of a step's parameters."""
    names = step.parameters()
    given: dict[str, object] = {}
    for name, parameter in names.items():
        try:
            if parameter in values:
                given[name] = parse_text(step.model_fields[name], values[parameter])
        except InputError as error:
            yield f"{_named(parameter, sources)}: {error}"
            return
    # What the pipeline passes from other steps is not known yet, but required.
    stand_ins = {name: "-" for name, field in step.model_fields.items() if field.is_required() and name not in given}
    try:
        step.model_validate({**stand_ins, **given})
    except ValidationError as error:
        for item in innermost(error):
            name = str(item["loc"][0]) if item["loc"] else ""
            if name in names:
                keys = "".join(f" [{key}]" for key in item["loc"][1:])
                yield f"{_named(names[name], sources)} is {shown(values[names[name]])}:{keys} {item['msg']}"
            else:
                yield _with_parameters(item["msg"], names)
    except InputError as error:
        yield _with_parameters(str(error), names)


def _check_sizes(values: Mapping[str, object], training: PodSize | None) -> None:
    """Check that there is the memory for the largest training, as far as it is known before the data is."""
    fields, names = SearchSpace.model_fields, SearchSpace.parameters()
    given = {name: _value(fields[name], values[key]) for name, key in names.items() if key in values}
    local = values["backend"] == "local"
    if local or training:
        memory = AvailableMemory.of_machine() if local or not training else AvailableMemory.of_pod(training)
        check_memory(memory, largest(SearchSpace.model_validate(given)))


def _value(field: FieldInfo, value: object) -> Any:
    return adapter(field).validate_python(parse_text(field, value))


def _batches_feed_every_node(values: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with the batch sizes of the tuning for the nodes of the final training."""
    declared = pipeline_parameters()
    sizes, nodes = (
        _value(declared[name], values.get(name, declared[name].default)) for name in ("batch_sizes", "num_gpu_nodes")
    )
    if min(sizes) < (least := least_batch_size(nodes)):
        yield f"batch size {min(sizes)} of batch_sizes is too small for num_gpu_nodes {nodes}; use at least {least}"


def _with_parameters(text: str, names: Mapping[str, str]) -> str:
    """Replace the options in a message by the parameters that set them."""
    return re.sub(r"--([a-z-]+)", lambda match: names.get(match[1].replace("-", "_"), match[0]), text)

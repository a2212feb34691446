"""Runs of an experiment on a platform, with what its API and the pods' logs tell of them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from kfp.dsl.utils import COMPONENT_NAME_PREFIX
from pydantic import ValidationError

from container_component_src.errors import InputError
from container_component_src.steps.parameters import PIPELINE_STEPS, changed_parameters
from container_component_src.steps.shared import Origin
from pipeline.history import PastRun, PastStep
from pipeline.outcome import service_name
from pipeline.remote.result import result_of
from pipeline.remote.run_state import tasks_of
from pipeline.remote.submission import all_pages
from pipeline.remote.waiting import is_known, update_records
from pipeline.remote.workflow import Workflow, find_workflow
from pipeline.remote.workspace import Workspace
from pipeline.steps import PlannedStep, StepRecord, StepState

_LARGEST_PAGE = 20  # each run comes with its compiled pipeline
_DATA = ("archives", "reports")
_STEPS = [PlannedStep(COMPONENT_NAME_PREFIX + step.command.replace("_", "-"), in_loop=False) for step in PIPELINE_STEPS]
_FIRST_TASK = "list-archives"
_HEADLINE = {"composite F1": "composite_f1", "events found": "event_recall", "alarms a day": "alarms_per_day"}
_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"  # between thousands
_NUMBER = r"([\d.e+-]+)"
_VALUE = re.compile(rf"{_NUMBER}(?: \((?:95 %: )?{_NUMBER} to {_NUMBER}\))?(?:, {_NUMBER} of them false)?")


def list_runs(workspace: Workspace, experiment: str, limit: int) -> list[PastRun]:
    """Return the last runs of an experiment, the last one first, as far as the list of the API tells.

    Args:
        workspace: Namespace of the runs.
        experiment: Name of the experiment.
        limit: Maximum number of runs.

    Raises:
        InputError: The namespace has no such experiment.
        PlatformError: The platform refuses a request, or cannot be reached.
    """
    try:
        found = workspace.client.get_experiment(experiment_name=experiment, namespace=workspace.owner)
    except ValueError as error:
        raise InputError(
            f"no experiment '{experiment}' in namespace {workspace.namespace}", fix="name another one with --experiment"
        ) from error
    runs = all_pages(
        workspace.client.list_runs,
        "runs",
        page_size=min(limit, _LARGEST_PAGE),
        experiment_id=found.experiment_id,
        sort_by="created_at desc",
    )
    return [_past_run(workspace, run) for run in islice(runs, limit)]


def examined(workspace: Workspace, past: PastRun) -> PastRun:
    """Return a run with its steps, and with the metrics and the deployment of its model.

    Metrics are read from the log of a pod. They are not known if the log is gone.

    Raises:
        PlatformError: The platform refuses a request, or cannot be reached.
    """
    workflow = find_workflow(workspace, past.id)
    result = result_of(workspace, past.id, workflow)
    run = workspace.client.get_run(past.id)
    return replace(
        past,
        metrics=read_headline(result.given.get("headline", "")),
        deployed=result.deployed if workflow else None,
        service=result.given.get("service_name", past.service),
        steps=_steps(run, workflow),
    )


def read_headline(text: str) -> dict[str, float]:
    """Return the metrics in the main figures of an evaluation, with the ends of their intervals."""
    found: dict[str, str | None] = {}
    for line in text.replace(_THIN_SPACE, "").splitlines():
        name, _, figures = line.partition(": ")
        values = _VALUE.match(figures)
        if name in _HEADLINE and values:
            metric = _HEADLINE[name]
            names = (metric, f"{metric}_low", f"{metric}_high", f"false_{metric}")
            found |= dict(zip(names, values.groups(), strict=True))
    return {name: float(value) for name, value in found.items() if value is not None}


def _past_run(workspace: Workspace, run: Any) -> PastRun:
    """Return what the list of the API tells of a run (kfp_server_api's V2beta1Run)."""
    spec = run.pipeline_spec or {}
    spec = spec.get("pipeline_spec", spec)  # empty if the run refers to an uploaded version of a pipeline
    given = {**_defaults(spec), **((run.runtime_config and run.runtime_config.parameters) or {})}
    changed, origin = _changed(given), _origin(spec)
    ended = run.finished_at if is_known(run.finished_at) else None
    url = workspace.run_url(run.run_id)
    return PastRun(
        id=run.run_id,
        status=str(run.state).lower(),
        started=run.created_at,
        seconds=(ended - run.created_at).total_seconds() if ended else None,
        parameters=changed,
        service=service_name(changed),
        commit=origin.commit,
        image=origin.image,
        data={name: given[f"{name}_path"] for name in _DATA if f"{name}_path" in given},
        report=url,
        logs=url,
    )


def _defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of a compiled pipeline, which have what its configuration changed."""
    declared = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    return {name: item["defaultValue"] for name, item in declared.items() if "defaultValue" in item}


def _origin(spec: Mapping[str, Any]) -> Origin:
    """Return what a compiled pipeline says it was compiled from: a constant argument of its first step."""
    tasks = [component.get("dag", {}).get("tasks", {}) for component in spec.get("components", {}).values()]
    first: dict[str, Any] = next((found[_FIRST_TASK] for found in tasks if _FIRST_TASK in found), {})
    origin = first.get("inputs", {}).get("parameters", {}).get("origin", {})
    try:
        return Origin.model_validate_json(origin.get("runtimeValue", {}).get("constant", "{}"))
    except ValidationError:  # of another release
        return Origin()


def _changed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that differ from their declared defaults; values of other releases as they are."""
    changed: dict[str, Any] = {}
    for name, value in given.items():
        try:
            changed |= changed_parameters({name: value})
        except (ValidationError, InputError):
            changed[name] = value
    return changed


def _steps(run: Any, workflow: Workflow | None) -> list[PastStep]:
    records = [StepRecord(step) for step in _STEPS]
    update_records(records, tasks_of(run), workflow.cached_tasks() if workflow else ())
    ran = [record for record in records if record.state is not StepState.PENDING]
    return [PastStep(record.name, record.state.value, record.seconds) for record in ran]

"""A run to its end: waited for, retried where the cluster and not a step is at fault, and explained."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

import click
from rich.console import Console

from container_component_src.errors import InputError
from pipeline.login.errors import PlatformError
from pipeline.remote.failures import describe_failure, interruptions
from pipeline.remote.gate import not_deployed
from pipeline.remote.request_retry import RequestRetrier
from pipeline.remote.run_state import End, restarts_of
from pipeline.remote.waiting import Ended, task_name, wait_for_run
from pipeline.remote.workspace import Workspace
from pipeline.steps import PlannedStep

_SHOWN_RUNS = 5


def follow_run(workspace: Workspace, run_id: str, steps: Sequence[PlannedStep], retries: int, restarts: int = 0) -> int:
    """Wait for a run and print how it ended.

    A run whose failed steps all lost their pods to the cluster is retried: it goes on at these steps.

    Args:
        workspace: Where the run is.
        run_id: Its id.
        steps: The steps to show.
        retries: How often it is retried at most.
        restarts: How often it was retried before.

    Returns:
        The exit code: 0 if it succeeded, whether its model was deployed or not; else 1.

    Raises:
        PipelineError: The platform refuses, or cannot be reached for a long time.
    """
    workspace, ended_at = _asking_once(workspace), None
    for retry in range(retries + 1):
        ended = wait_for_run(workspace, run_id, steps, Console(), restarts + retry, ended_at)
        lost = interruptions(ended.workflow) if ended.end is End.FAILED else []
        if not lost or retry == retries:
            break
        reasons = "; ".join(lost)
        click.echo(f"no fault of a step ({reasons}): retrying the run ({retry + 1} of {retries})", err=True)
        ended_at = ended.run.finished_at
        try:
            RequestRetrier().call(lambda: _send_retry(workspace, run_id))
        except PlatformError as error:
            click.echo(f"the run could not be retried: {error}", err=True)
            break
    return _report(workspace, run_id, steps, ended)


def retry_run(workspace: Workspace, run_id: str) -> int:
    """Let a failed run go on at the steps that failed.

    Returns:
        How often it has been retried, this time included.

    Raises:
        InputError: There is no such run, or it has not failed.
        PlatformError: The platform refuses, or cannot be reached.
    """
    try:
        run = workspace.client.get_run(run_id)
    except PlatformError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise InputError(f"--retry {run_id}: {_no_such_run(workspace)}") from error
    if run.state not in {"FAILED", "CANCELED"}:
        raise InputError(f"--retry {run_id}: the run is {run.state}: only one that failed can be retried")
    _send_retry(workspace, run_id)
    return restarts_of(run) + 1


def _asking_once(workspace: Workspace) -> Workspace:
    """The workspace without patience for Kubernetes: while a run is waited for it is asked again soon, and silently."""
    cluster = workspace.cluster
    return replace(workspace, cluster=cluster and replace(cluster, patience=0))


def _send_retry(workspace: Workspace, run_id: str) -> None:
    workspace.client.runs.run_service_retry_run(run_id)


def _no_such_run(workspace: Workspace) -> str:
    """Name the latest runs; the API lists them in no order unless asked."""
    found = workspace.client.list_runs(
        page_size=_SHOWN_RUNS, sort_by="created_at desc", namespace=workspace.owner or ""
    ).runs
    latest = ", ".join(f"{run.run_id} ({run.display_name}, {run.state})" for run in found or [])
    return f"no such run in namespace {workspace.namespace}: the latest are {latest or 'none'}"


def _report(workspace: Workspace, run_id: str, steps: Sequence[PlannedStep], ended: Ended) -> int:
    if ended.end is End.SUCCEEDED:
        click.echo(ended.end)
        if line := not_deployed(workspace, run_id, ended.workflow):
            click.echo(line)
        return 0
    if ended.end is End.FAILED:
        for line in describe_failure(workspace, ended.run, ended.workflow, _tasks(steps)):
            click.echo(line, err=True)
    click.echo(f"error: {ended.end}: see {workspace.run_url(run_id)}", err=True)
    return 1


def _tasks(steps: Sequence[PlannedStep]) -> set[str]:
    return {task_name(step) for step in steps}

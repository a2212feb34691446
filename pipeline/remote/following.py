"""Following a run to its end: waiting, retrying after interruptions by the cluster, and reporting."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

import click

from container_component_src.errors import InputError
from pipeline.login.errors import PlatformError
from pipeline.remote.failures import describe_failure, interruptions
from pipeline.remote.request_retry import RequestRetrier
from pipeline.remote.result import outcome_of
from pipeline.remote.run_state import End, restarts_of
from pipeline.remote.waiting import EndedRun, task_name, wait_for_run
from pipeline.remote.workspace import Workspace
from pipeline.steps import PlannedStep

_SHOWN_RUNS = 5


def follow_run(workspace: Workspace, run_id: str, steps: Sequence[PlannedStep], retries: int, restarts: int = 0) -> int:
    """Wait for a run and print how it ended.

    If the cluster interrupted all steps that failed, the run is retried: it continues at these steps.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        steps: Steps to show.
        retries: Maximum number of retries.
        restarts: Number of earlier retries of the run.

    Returns:
        Exit code: 0 if the run succeeded, whether its model was deployed or not; otherwise 1.

    Raises:
        PipelineError: The platform refuses a request, or cannot be reached for a long time.
    """
    workspace, ended_at = _without_kubernetes_retries(workspace), None
    for retry in range(retries + 1):
        ended = wait_for_run(workspace, run_id, steps, restarts + retry, ended_at)
        interrupted = interruptions(ended.workflow) if ended.end is End.FAILED else []
        if not interrupted or retry == retries:
            break
        reasons = "; ".join(interrupted)
        click.echo(f"interrupted by the cluster ({reasons}): retrying the run ({retry + 1} of {retries})", err=True)
        ended_at = ended.run.finished_at
        try:
            RequestRetrier().call(lambda: _send_retry(workspace, run_id))
        except PlatformError as error:
            click.echo(f"the run could not be retried: {error}", err=True)
            break
    return _report(workspace, run_id, steps, ended)


def retry_run(workspace: Workspace, run_id: str) -> int:
    """Continue a failed run at the steps that failed.

    Returns:
        Number of retries of the run, this one included.

    Raises:
        InputError: The run does not exist, or it has not failed.
        PlatformError: The platform refuses the request, or cannot be reached.
    """
    try:
        run = workspace.client.get_run(run_id)
    except PlatformError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise InputError(
            f"--retry {run_id}: no such run in namespace {workspace.namespace}",
            fix=f"the latest runs are {_latest_runs(workspace)}",
        ) from error
    if run.state not in {"FAILED", "CANCELED"}:
        raise InputError(f"--retry {run_id}: the run is {run.state}", fix="name a run that has failed")
    _send_retry(workspace, run_id)
    return restarts_of(run) + 1


def _without_kubernetes_retries(workspace: Workspace) -> Workspace:
    """Return the workspace without retries of requests to Kubernetes, because the waiting repeats them."""
    cluster = workspace.cluster
    return replace(workspace, cluster=cluster and replace(cluster, patience=0))


def _send_retry(workspace: Workspace, run_id: str) -> None:
    workspace.client.runs.run_service_retry_run(run_id)


def _latest_runs(workspace: Workspace) -> str:
    """Return the latest runs as a text; the API sorts them only on request."""
    found = workspace.client.list_runs(
        page_size=_SHOWN_RUNS, sort_by="created_at desc", namespace=workspace.owner or ""
    ).runs
    return ", ".join(f"{run.run_id} ({run.display_name}, {run.state})" for run in found or []) or "none"


def _report(workspace: Workspace, run_id: str, steps: Sequence[PlannedStep], ended: EndedRun) -> int:
    if ended.end is End.SUCCEEDED:
        click.echo(ended.end)
        for line in outcome_of(workspace, run_id, ended.workflow).lines():
            click.echo(line)
        return 0
    if ended.end is End.FAILED:
        for line in describe_failure(workspace, ended.run, ended.workflow, {task_name(step) for step in steps}):
            click.echo(line, err=True)
    click.echo(f"error: {ended.end}; see {workspace.run_url(run_id)}", err=True)
    return 1

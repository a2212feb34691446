"""Runs, schedules and pipeline versions on a platform."""

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from container_component_src.errors import InputError
from pipeline.login.errors import PlatformError
from pipeline.remote.workspace import Workspace

_PAGE_SIZE = 100
_MAX_NAME = 100  # characters of a version's name


@dataclass(frozen=True)
class Submission:
    """A run or schedule to be created.

    Attributes:
        package: File of the compiled pipeline.
        arguments: Values of the pipeline parameters.
        experiment: Name of the experiment, which is created if it does not exist.
        name: Name of the run or schedule.
    """

    package: Path
    arguments: dict[str, object]
    experiment: str
    name: str


@dataclass(frozen=True)
class Schedule:
    """A recurring run."""

    schedule_id: str
    name: str
    cron: str
    enabled: bool


def create_run(workspace: Workspace, submission: Submission) -> str:
    """Start a run.

    Returns:
        ID of the run.

    Raises:
        PlatformError: The platform refuses the request, or cannot be reached.
    """
    with _without_links():
        run = workspace.client.run_pipeline(
            _experiment_id(workspace, submission.experiment),
            submission.name,
            str(submission.package),
            params=submission.arguments,
        )
    return str(run.run_id)


def create_schedule(workspace: Workspace, submission: Submission, cron: str) -> str:
    """Create a recurring run that never overlaps with itself and does not catch up on missed times.

    Args:
        workspace: Namespace of the runs.
        submission: Pipeline and name.
        cron: Cron expression with seconds, as `cron.normalise_cron` returns it.

    Returns:
        ID of the recurring run.

    Raises:
        InputError: A schedule of this name exists.
        PlatformError: The platform refuses the request, or cannot be reached.
    """
    if any(schedule.name == submission.name for schedule in list_schedules(workspace)):
        raise InputError(
            f"a schedule '{submission.name}' exists already",
            fix="choose another --run-name, or disable and delete the schedule",
        )
    with _without_links():
        schedule = workspace.client.create_recurring_run(
            _experiment_id(workspace, submission.experiment),
            submission.name,
            cron_expression=cron,
            params=submission.arguments,
            pipeline_package_path=str(submission.package),
            no_catchup=True,
            max_concurrency=1,
        )
    return str(schedule.recurring_run_id)


def list_schedules(workspace: Workspace) -> list[Schedule]:
    """Return all recurring runs of the namespace."""
    found = all_pages(workspace.client.list_recurring_runs, "recurring_runs", namespace=workspace.owner)
    return [
        Schedule(
            item.recurring_run_id,
            item.display_name,
            item.trigger.cron_schedule.cron if item.trigger and item.trigger.cron_schedule else "",
            item.status == "ENABLED",
        )
        for item in found
    ]


def disable_schedules(workspace: Workspace, name: str) -> int:
    """Disable the recurring runs of a name.

    Returns:
        Number of schedules that were enabled before.

    Raises:
        InputError: No schedule has this name.
    """
    schedules = list_schedules(workspace)
    if not any(schedule.name == name for schedule in schedules):
        names = ", ".join(sorted({schedule.name for schedule in schedules}))
        fix = f"use one of {names}" if names else "there are no schedules"
        raise InputError(f"no schedule '{name}' in namespace {workspace.namespace}", fix=fix)
    enabled = [schedule for schedule in schedules if schedule.name == name and schedule.enabled]
    for schedule in enabled:
        workspace.client.disable_recurring_run(schedule.schedule_id)
    return len(enabled)


def as_version_name(text: str) -> str:
    """Turn a text into a version name that both kinds of pipeline store accept, the database and Kubernetes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())[:_MAX_NAME].strip("-.")


def check_version_name(name: str) -> None:
    """Check that both kinds of pipeline store accept a version name.

    Raises:
        InputError: The name is too long, or has characters other than lower case letters, digits, hyphens and dots.
    """
    valid = as_version_name(name)
    if name != valid:
        raise InputError(
            f"--run-name '{name}' is not a valid name of a version",
            fix=f"use up to {_MAX_NAME} lower case letters, digits, '-' and '.'{valid and f', such as {valid}'}",
        )


def upload(workspace: Workspace, package: Path, pipeline_name: str, version_name: str) -> tuple[str, str]:
    """Upload the compiled pipeline, as a new version if the namespace already has the pipeline.

    Returns:
        Name of the version, and address of its page.

    Raises:
        InputError: A version of this name exists.
        PlatformError: The platform refuses the request, or cannot be reached.
    """
    client, owner = workspace.client, workspace.owner
    pipelines = all_pages(client.list_pipelines, "pipelines", namespace=owner)
    existing = next((item for item in pipelines if pipeline_name in {item.display_name, item.name}), None)
    with _without_links():
        if existing is None:  # the platform gives the first version the name of the pipeline
            new = client.upload_pipeline(str(package), pipeline_name, namespace=owner)
            return pipeline_name, workspace.pipeline_url(new.pipeline_id)
        try:
            version = client.upload_pipeline_version(str(package), version_name, pipeline_id=existing.pipeline_id)
        except PlatformError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            raise InputError(f"a version '{version_name}' exists already", fix="choose another --run-name") from error
    return version_name, workspace.pipeline_url(existing.pipeline_id, version.pipeline_version_id)


def _experiment_id(workspace: Workspace, name: str) -> str:
    try:
        return str(workspace.client.create_experiment(name, namespace=workspace.owner).experiment_id)
    except PlatformError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
    # Another process created it in the meantime.
    return str(workspace.client.get_experiment(experiment_name=name, namespace=workspace.owner).experiment_id)


def all_pages(fetch: Callable[..., Any], attribute: str, page_size: int = _PAGE_SIZE, **options: Any) -> Iterator[Any]:
    """Yield the items of a list of the API, which it returns in pages.

    Args:
        fetch: Method of kfp's client that lists.
        attribute: Name of the items in its answer.
        page_size: Number of items of a page.
        options: Other arguments of the method.
    """
    token = ""
    while True:
        page = fetch(page_token=token, page_size=page_size, **options)
        yield from getattr(page, attribute) or []
        token = page.next_page_token
        if not token:
            return


@contextlib.contextmanager
def _without_links() -> Iterator[None]:
    """Suppress the addresses that kfp's client prints, because they bypass the dashboard."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield

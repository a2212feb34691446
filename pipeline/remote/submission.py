"""Runs, schedules and versions of the pipeline on a platform."""

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

_PAGE = 100  # items of a list that are asked for at once
_LONGEST_NAME = 100  # characters of a version's name


@dataclass(frozen=True)
class Submission:
    """What is to run.

    Attributes:
        package: The compiled pipeline.
        arguments: Values of its parameters.
        experiment: The experiment that runs are gathered in; it is created if it is absent.
        name: Of the run or schedule.
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
        Its id.

    Raises:
        PlatformError: The platform refuses, or cannot be reached.
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
    """Start runs again and again; never two at once, and none for times that have passed.

    Args:
        workspace: Where.
        submission: What.
        cron: As `cron.normalise_cron` returns it.

    Returns:
        The id of the recurring run.

    Raises:
        InputError: There is a schedule of this name already.
        PlatformError: The platform refuses, or cannot be reached.
    """
    if any(schedule.name == submission.name for schedule in list_schedules(workspace)):
        raise InputError(
            f"there is a schedule '{submission.name}' already: choose another --run-name, or disable it and delete it"
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
    """All recurring runs of the namespace."""
    found = _all_pages(workspace.client.list_recurring_runs, "recurring_runs", namespace=workspace.owner)
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
        How many were enabled.

    Raises:
        InputError: There is none of this name.
    """
    schedules = list_schedules(workspace)
    if not any(schedule.name == name for schedule in schedules):
        known = ", ".join(sorted({schedule.name for schedule in schedules})) or "none at all"
        raise InputError(f"no schedule '{name}' in namespace {workspace.namespace}: there is {known}")
    enabled = [schedule for schedule in schedules if schedule.name == name and schedule.enabled]
    for schedule in enabled:
        workspace.client.disable_recurring_run(schedule.schedule_id)
    return len(enabled)


def as_version_name(text: str) -> str:
    """A text in the characters that both kinds of pipeline store take: a platform may keep versions in Kubernetes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())[:_LONGEST_NAME].strip("-.")


def check_version_name(name: str) -> None:
    """Refuse a name that one kind of pipeline store does not take.

    Raises:
        InputError: It has other characters than lower case letters, digits, hyphens and dots, or is too long.
    """
    fitting = as_version_name(name)
    if name != fitting:
        raise InputError(
            f"--run-name '{name}': a version is named with up to {_LONGEST_NAME} lower case letters, digits, '-' and "
            f"'.'{fitting and f', like {fitting}'}: choose such a name"
        )


def upload(workspace: Workspace, package: Path, pipeline_name: str, version_name: str) -> tuple[str, str]:
    """Upload the compiled pipeline; as a further version if the namespace has it already.

    Returns:
        Name of the version, and the address of its page.

    Raises:
        InputError: There is a version of this name already.
        PlatformError: The platform refuses, or cannot be reached.
    """
    client, owner = workspace.client, workspace.owner
    pipelines = _all_pages(client.list_pipelines, "pipelines", namespace=owner)
    same = next((item for item in pipelines if pipeline_name in {item.display_name, item.name}), None)
    with _without_links():
        if same is None:  # the platform names the first version like the pipeline
            new = client.upload_pipeline(str(package), pipeline_name, namespace=owner)
            return pipeline_name, workspace.pipeline_url(new.pipeline_id)
        try:
            version = client.upload_pipeline_version(str(package), version_name, pipeline_id=same.pipeline_id)
        except PlatformError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            raise InputError(f"there is a version '{version_name}' already: choose another --run-name") from error
    return version_name, workspace.pipeline_url(same.pipeline_id, version.pipeline_version_id)


def _experiment_id(workspace: Workspace, name: str) -> str:
    try:
        return str(workspace.client.create_experiment(name, namespace=workspace.owner).experiment_id)
    except PlatformError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
    # Someone else created it at the same moment.
    return str(workspace.client.get_experiment(experiment_name=name, namespace=workspace.owner).experiment_id)


def _all_pages(fetch: Callable[..., Any], attribute: str, **options: Any) -> Iterator[Any]:
    token = ""
    while True:
        page = fetch(page_token=token, page_size=_PAGE, **options)
        yield from getattr(page, attribute) or []
        token = page.next_page_token
        if not token:
            return


@contextlib.contextmanager
def _without_links() -> Iterator[None]:
    """Keep back the addresses that kfp's client prints: they lead past the dashboard."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield

"""What `compile_and_run_pipeline.py` does on a platform, and what it prints."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from container_component_src.errors import PipelineError, StepError
from container_component_src.maintenance.checks import Check
from pipeline.arguments import parse_arguments
from pipeline.remote.cron import normalise_cron
from pipeline.remote.following import follow_run, retry_run
from pipeline.remote.image_tag import ImageTag
from pipeline.remote.preflight import check_pullable, run_preflight
from pipeline.remote.submission import (
    Submission,
    as_version_name,
    check_version_name,
    create_run,
    create_schedule,
    disable_schedules,
    list_schedules,
    upload,
)
from pipeline.remote.workspace import Workspace
from pipeline.steps import load_pipeline_spec, plan_steps

_INTERRUPTED = 130  # exit code


@dataclass(frozen=True)
class RunOptions:
    """How a run is submitted.

    Raises:
        InputError: The times of a schedule, or the name of a version, are none.

    Attributes:
        experiment: The experiment that runs are gathered in.
        run_name: Of the run, schedule or version; made of image tag and time if empty.
        wait: Whether to wait for the end of the run.
        cron: Start runs at these times instead of one now.
        upload: Upload the pipeline instead of running it.
        preflight: Whether to check image and inputs before.
        retries: How often a run that is waited for is retried where the cluster took a step's pod away.
        s3_secret: Secret that the steps have their settings of the object storage from, for the preflight.
    """

    experiment: str
    run_name: str = ""
    wait: bool = False
    cron: str = ""
    upload: bool = False
    preflight: bool = True
    retries: int = 0
    s3_secret: str = ""

    def __post_init__(self) -> None:
        if self.cron:
            normalise_cron(self.cron)
        if self.upload and self.run_name:
            check_version_name(self.run_name)

    def name(self, image: ImageTag) -> str:
        """The name of what is submitted."""
        if self.run_name:
            return self.run_name
        now = datetime.now(UTC)
        if self.upload:
            return as_version_name(f"{self.experiment[:40]} {image.tag[:40]} {now:%Y%m%d %H%M%S}")
        return f"{self.experiment} {image.tag} {now:%Y-%m-%d %H:%M:%S}"


class CompiledPipeline:
    """A compiled pipeline with the arguments of a run, checked before anything is sent.

    Args:
        package: The YAML.
        arguments: Values by parameter name, as text or in their types.

    Raises:
        InputError: An argument is unknown, or does not fit its type.
    """

    def __init__(self, package: Path, arguments: Mapping[str, object]) -> None:
        spec = load_pipeline_spec(package)
        self.package = package
        self.root = spec.root
        self.name = str(spec.pipeline_info.name)
        self.steps = plan_steps(spec)
        self.arguments = parse_arguments(spec.root, arguments)
        executors = spec.deployment_spec["executors"].values()
        self.image = str(next(executor["container"]["image"] for executor in executors))  # all steps have the same


def submit(
    workspace: Workspace,
    pipeline: CompiledPipeline,
    options: RunOptions,
    image: ImageTag,
    values: Mapping[str, str],
    remote: bool,
) -> int:
    """Upload, schedule or run the pipeline.

    Args:
        workspace: Where.
        pipeline: What.
        options: How.
        image: The tag of the image that the pipeline names.
        values: Settings of the object storage among others.
        remote: Whether this is outside of the cluster, where settings of the object storage are asked for.

    Returns:
        The exit code: 0; 1 if the run that was waited for failed, 130 if the waiting was interrupted.

    Raises:
        PipelineError: The preflight found something, or the platform refuses.
    """
    if options.upload:
        version, url = upload(workspace, pipeline.package, pipeline.name, options.name(image))
        click.echo(f"uploaded: pipeline {pipeline.name}, version {version}\n{url}")
        return 0
    cron = normalise_cron(options.cron) if options.cron else ""
    if options.preflight:
        checks = run_preflight(workspace, pipeline.root, pipeline.arguments, image, values, options.s3_secret, remote)
        if not any(check.failed for check in checks):  # this one takes minutes
            namespace = str(pipeline.arguments.get("namespace") or workspace.namespace)
            checks.append(check_pullable(pipeline.image, namespace))
        _report(checks)
    submission = Submission(pipeline.package, pipeline.arguments, options.experiment, options.name(image))
    if cron:
        schedule_id = create_schedule(workspace, submission, cron)
        click.echo(f"scheduled: {submission.name} ({cron})\n{workspace.schedule_url(schedule_id)}")
        return 0
    run_id = create_run(workspace, submission)
    click.echo(f"run: {submission.name}\n{workspace.run_url(run_id)}")
    return _wait(workspace, run_id, pipeline, options.retries) if options.wait else 0


def retry(workspace: Workspace, run_id: str, pipeline: CompiledPipeline, options: RunOptions) -> int:
    """Let a failed run go on at the steps that failed, and wait for it if asked.

    Returns:
        The exit code, as of `submit`.

    Raises:
        PipelineError: There is no such run, it has not failed, or the platform refuses.
    """
    restarts = retry_run(workspace, run_id)
    click.echo(f"retried: {run_id}\n{workspace.run_url(run_id)}")
    return _wait(workspace, run_id, pipeline, options.retries, restarts) if options.wait else 0


def show_schedules(workspace: Workspace) -> None:
    """Print the recurring runs of the namespace."""
    schedules = list_schedules(workspace)
    if not schedules:
        click.echo(f"no schedules in namespace {workspace.namespace}", err=True)
    for schedule in schedules:
        click.echo(f"{schedule.name}\t{schedule.cron}\t{'enabled' if schedule.enabled else 'disabled'}")


def disable(workspace: Workspace, name: str) -> None:
    """Disable the recurring runs of a name."""
    enabled = disable_schedules(workspace, name)
    click.echo(f"disabled: {name}" if enabled else f"disabled already: {name}")


def _report(checks: list[Check]) -> None:
    """Print what the preflight found.

    Raises:
        StepError: A run cannot succeed like this.
    """
    for check in checks:
        fix = f": {check.fix}" if check.fix and not check.ok else ""
        click.echo(f"{check.state}: {check.name}: {check.detail}{fix}", err=not check.ok)
    failed = [check.name for check in checks if check.failed]
    if failed:
        raise StepError(f"not submitted: {', '.join(failed)}: fix it, or submit anyway with --skip-preflight")


def _wait(workspace: Workspace, run_id: str, pipeline: CompiledPipeline, retries: int, restarts: int = 0) -> int:
    try:
        return follow_run(workspace, run_id, pipeline.steps, retries, restarts)
    except KeyboardInterrupt:
        click.echo(f"no longer waiting; the run goes on: {workspace.run_url(run_id)}", err=True)
        return _INTERRUPTED
    except PipelineError as error:
        raise type(error)(f"{error}; the run goes on: {workspace.run_url(run_id)}") from error

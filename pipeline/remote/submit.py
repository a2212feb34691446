"""Actions of `compile_and_run_pipeline.py` on a platform: submit, schedule, upload, retry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from container_component_src.errors import PipelineError, StepError
from container_component_src.maintenance.checks import Check, check_registries
from container_component_src.steps.shared import PodSettings
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

_EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class RunOptions:
    """Options of a submission.

    Attributes:
        experiment: Experiment of the run.
        run_name: Name of the run, schedule or version; built from image tag and time if empty.
        wait: Whether to wait for the end of the run.
        cron: Cron expression; runs start at these times instead of once now.
        upload: Whether to upload the pipeline instead of running it.
        preflight: Whether to check images and inputs first.
        retries: Maximum number of retries after the cluster interrupted a step, if the run is waited for.
        s3_secret: Name of the Secret with the steps' settings of the object storage, for the preflight.
        images: References of the images of the run's pods, for the preflight.
        pods: Settings that all pods of the run have in common, for the preflight.

    Raises:
        InputError: The cron expression or the name of a version is invalid.
    """

    experiment: str
    run_name: str = ""
    wait: bool = False
    cron: str = ""
    upload: bool = False
    preflight: bool = True
    retries: int = 0
    s3_secret: str = ""
    images: tuple[str, ...] = ()
    pods: PodSettings = field(default_factory=PodSettings)

    def __post_init__(self) -> None:
        if self.cron:
            normalise_cron(self.cron)
        if self.upload and self.run_name:
            check_version_name(self.run_name)

    def name(self, image: ImageTag) -> str:
        """Return the name of the run, schedule or version."""
        if self.run_name:
            return self.run_name
        now = datetime.now(UTC)
        if self.upload:
            return as_version_name(f"{self.experiment[:40]} {image.tag[:40]} {now:%Y%m%d %H%M%S}")
        return f"{self.experiment} {image.tag} {now:%Y-%m-%d %H:%M:%S}"


class CompiledPipeline:
    """A compiled pipeline with validated arguments.

    Args:
        package: YAML file of the pipeline.
        arguments: Values by parameter name, typed or as text.

    Raises:
        InputError: An argument is unknown or has the wrong type.
    """

    def __init__(self, package: Path, arguments: Mapping[str, object]) -> None:
        spec = load_pipeline_spec(package)
        self.package = package
        self.root = spec.root
        self.name = str(spec.pipeline_info.name)
        self.steps = plan_steps(spec)
        self.arguments = parse_arguments(spec.root, arguments)


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
        workspace: Namespace of the run.
        pipeline: Pipeline to submit.
        options: Options of the submission.
        image: Tag of the pipeline's image.
        values: Environment variables, with the settings of the object storage.
        remote: Whether this process runs outside of the cluster, where settings of the object storage are required.

    Returns:
        Exit code: 1 if the run was waited for and failed, 130 if the waiting was interrupted, otherwise 0.

    Raises:
        PipelineError: The preflight failed, or the platform refuses a request.
    """
    registries = check_registries(options.images, options.pods.image_pull_policy) if options.preflight else []
    if options.upload:
        _report(registries)
        version, url = upload(workspace, pipeline.package, pipeline.name, options.name(image))
        click.echo(f"uploaded: pipeline {pipeline.name}, version {version}\n{url}")
        return 0
    cron = normalise_cron(options.cron) if options.cron else ""
    if options.preflight:
        checks = run_preflight(workspace, pipeline.root, pipeline.arguments, image, values, options.s3_secret, remote)
        checks += registries
        _report(checks + _check_pull(workspace, pipeline, options, checks))
    submission = Submission(pipeline.package, pipeline.arguments, options.experiment, options.name(image))
    if cron:
        schedule_id = create_schedule(workspace, submission, cron)
        click.echo(f"scheduled: {submission.name} ({cron})\n{workspace.schedule_url(schedule_id)}")
        return 0
    run_id = create_run(workspace, submission)
    click.echo(f"run: {submission.name}\n{workspace.run_url(run_id)}")
    return _wait(workspace, run_id, pipeline, options.retries) if options.wait else 0


def retry(workspace: Workspace, run_id: str, pipeline: CompiledPipeline, options: RunOptions) -> int:
    """Continue a failed run at the steps that failed, and wait for it if `options.wait` is set.

    Returns:
        Exit code, as that of `submit`.

    Raises:
        PipelineError: The run does not exist, it has not failed, or the platform refuses a request.
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
    """Disable the recurring runs of a name and print the outcome."""
    enabled = disable_schedules(workspace, name)
    click.echo(f"disabled: {name}" if enabled else f"already disabled: {name}")


def _check_pull(
    workspace: Workspace, pipeline: CompiledPipeline, options: RunOptions, checks: list[Check]
) -> list[Check]:
    """Check that the cluster can pull the images, which takes minutes, unless an earlier check failed."""
    if any(check.failed for check in checks):
        return []
    namespace = str(pipeline.arguments.get("namespace") or workspace.namespace)
    pods = options.pods.model_copy(update={"namespace": namespace})
    return [check_pullable(pods.model_copy(update={"image": image})) for image in options.images]


def _report(checks: list[Check]) -> None:
    """Print the results of the preflight.

    Raises:
        StepError: A required check failed.
    """
    for check in checks:
        fix = f"; {check.fix}" if check.fix and not check.ok else ""
        click.echo(f"{check.state}: {check.name}: {check.detail}{fix}", err=not check.ok)
    failed = [check.name for check in checks if check.failed]
    if failed:
        problem = f"not submitted, because checks failed: {', '.join(failed)}"
        raise StepError(problem, fix="fix the cause, or submit anyway with --skip-preflight")


def _wait(workspace: Workspace, run_id: str, pipeline: CompiledPipeline, retries: int, restarts: int = 0) -> int:
    try:
        return follow_run(workspace, run_id, pipeline.steps, retries, restarts)
    except KeyboardInterrupt:
        click.echo(f"stopped waiting; the run continues: {workspace.run_url(run_id)}", err=True)
        return _EXIT_INTERRUPTED
    except PipelineError as error:
        raise type(error)(f"{error}; the run continues: {workspace.run_url(run_id)}") from error

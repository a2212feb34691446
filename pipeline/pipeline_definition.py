"""The pipeline: which step feeds which, and what each may use on the cluster. Nothing is read or sent here."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl import base_component

from container_component_src.settings import Settings
from container_component_src.steps.calibration import Calibrate
from container_component_src.steps.data import (
    SETS,
    CreateTrainValTestSplit,
    FitScaler,
    LabelTelemetry,
    ListArchives,
    RunDaskPreprocessing,
    ScaleDataframes,
    SplitParquetFile,
)
from container_component_src.steps.declaration import Arguments
from container_component_src.steps.description import described, list_of
from container_component_src.steps.evaluation import CheckGate, RunEvaluation, VisualizeResults
from container_component_src.steps.maintenance import Cleanup
from container_component_src.steps.parameters import DEFAULT_BACKEND, PIPELINE_STEPS, pipeline_parameters
from container_component_src.steps.promotion import CompareModels
from container_component_src.steps.serving import DeployToKserve, PayloadLogging, Replicas
from container_component_src.steps.shared import Origin
from container_component_src.steps.training import RunPyTorchJob
from container_component_src.steps.tuning import RunKatibExperiment
from pipeline.annotations import ArchiveList, JsonList
from pipeline.components import annotation_of, describe_to_kfp
from pipeline.tasks import TaskBuilder

_NAME = "columbus-eclss-ad-pipeline"
_DESCRIPTION = "From yearly telemetry archives to a deployed anomaly detector for the Columbus ECLSS."
# Hours of the steps that do little, so that an image that cannot be pulled does not hold up the end of the run.
_SHORT = 0.25
_LAUNCH_MARGIN = 1  # hours that a step outlives the training it waits for, to queue, to report and to clean up

Channels = Mapping[str, Any]  # KFP's placeholder for the value of every parameter, by name


def build_pipeline(
    settings: Settings, cache: bool = True, origin: Origin | None = None
) -> base_component.BaseComponent:
    """Wire the pipeline for the names, paths and resources of some settings; everything else is a pipeline parameter.

    Args:
        settings: The configuration.
        cache: Whether steps may be answered from earlier runs. kfp's client, told to do without, passes that on to the
            outermost tasks only, so it is compiled into every task.
        origin: What its runs say they were compiled from.
    """
    origin = origin or Origin(**settings.report.model_dump())
    tasks = TaskBuilder(settings, cache)
    limits, resources = settings.limits, settings.resources
    split_archives = _build_split_archives(tasks)
    deploy_if_good = _build_deploy_if_good(tasks, origin)

    def steps(values: Channels) -> None:
        run = tasks.with_parameters(values)
        cleaning = run(Cleanup, resources.light, hours=_SHORT, cached=False)
        with dsl.ExitHandler(cleaning, name="steps"):
            data = _prepare_data(tasks, split_archives, values, origin)
            tuning = run(
                RunKatibExperiment,
                resources.light,
                hours=limits.tuning_hours,
                **_datasets(data.scaled, "train", "val", prefix="scaled_"),
                pods=tasks.pods(resources.training),
                trial_user=settings.platform.trial_user,
                trial_timeout=limits.trial_hours * 3600,
            )
            training = run(
                RunPyTorchJob,
                resources.light,
                hours=limits.training_hours + _LAUNCH_MARGIN,
                **_datasets(data.scaled, "train", "val", prefix="scaled_"),
                hyperparameters=tuning.outputs["best_hyperparameters"],
                pods=tasks.pods(resources.training),
                job_timeout=limits.training_hours * 3600,
                training_api=settings.platform.training_api.value,
            )
            calibration = run(
                Calibrate,
                resources.data,
                bundle_path=training.outputs["model_uri"],
                **_datasets(data.scaled, "calibration", prefix="scaled_"),
            )
            model = calibration.outputs["calibrated_model"]
            evaluation = run(
                RunEvaluation,
                resources.data,
                calibrated_model=model,
                **_datasets(data.scaled, "train", "calibration", "test", prefix="scaled_"),
            )
            gate = run(CheckGate, resources.light, evaluation=evaluation.outputs["evaluation"])
            # The deployed model may be another one in every run.
            comparison = run(
                CompareModels,
                resources.data,
                cached=False,
                calibrated_model=model,
                **_datasets(data.splits, "test"),
                df_path=data.dataset.outputs["dataset_uri"],
                gate=gate.outputs["gate"],
            )
            # The report names its run, so an earlier run's would be wrong. The record of the run is a new artifact in
            # every run, so the cache would never have a report anyway. It costs minutes; a wrong name costs trust.
            run(
                VisualizeResults,
                resources.data,
                cached=False,
                run=data.listing.outputs["run"],
                df_path=data.dataset.outputs["dataset_uri"],
                **_datasets(data.splits, *SETS),
                scores_path=evaluation.outputs["scores_uri"],
                evaluation=evaluation.outputs["evaluation"],
                alarms=evaluation.outputs["alarms"],
                calibrated_model=model,
                gate=gate.outputs["gate"],
                comparison=comparison.outputs["comparison"],
                trials=tuning.outputs["trials"],
            )
            deploy_if_good(
                promoted=comparison.outputs["promoted"],
                promotion_reason=comparison.outputs["promotion_reason"],
                gate_passed=gate.outputs["passed"],
                gate_reason=gate.outputs["reason"],
                headline=evaluation.outputs["headline"],
                model_uri=calibration.outputs["calibrated_model_uri"],
                test_uri=data.scaled.outputs["scaled_test_uri"],
                **_values(values, DeployToKserve),
            )

    return _pipeline(steps, _NAME, _DESCRIPTION, _annotations(*PIPELINE_STEPS), defaults(settings))


class _Data(NamedTuple):
    """Tasks of the data, whose outputs the later steps take."""

    listing: dsl.PipelineTask
    dataset: dsl.PipelineTask
    splits: dsl.PipelineTask
    scaled: dsl.PipelineTask


def _prepare_data(
    tasks: TaskBuilder, split_archives: base_component.BaseComponent, values: Channels, origin: Origin
) -> _Data:
    """Wire the steps from the archives to the scaled datasets."""
    run, resources = tasks.with_parameters(values), tasks.settings.resources
    listing = run(
        ListArchives,
        resources.light,
        hours=_SHORT,
        cached=False,
        training_pods=tasks.pods(resources.training),
        origin=origin.model_dump_json(),
    )
    partitions = split_archives(archives=listing.outputs["archives"], **_values(values, SplitParquetFile))
    dataset = run(
        RunDaskPreprocessing,
        resources.light,
        partitioned_telemetry_paths=partitions.output,
        pods=tasks.pods(resources.dask_worker),
    )
    labels = run(
        LabelTelemetry,
        resources.data,
        df_path=dataset.outputs["dataset_uri"],
        reports_fingerprint=listing.outputs["reports_fingerprint"],
        feedback_fingerprint=listing.outputs["feedback_fingerprint"],
    )
    splits = run(
        CreateTrainValTestSplit,
        resources.data,
        df_path=dataset.outputs["dataset_uri"],
        labels_path=labels.outputs["labels_uri"],
    )
    scaler = run(FitScaler, resources.data, train_df_path=splits.outputs["train_uri"])
    scaled = run(ScaleDataframes, resources.data, scaler=scaler.outputs["scaler"], **_datasets(splits, *SETS))
    return _Data(listing, dataset, splits, scaled)


def defaults(settings: Settings) -> dict[str, Any]:
    """Return the default of every pipeline parameter: that of the configuration's own keys, else the declared one."""
    configured = {
        "archives_path": settings.paths.archives,
        "reports_path": settings.paths.reports,
        "feedback_path": settings.paths.feedback,
        "data_root": settings.paths.data_root,
        "timestamp_col": settings.col_names.timestamp,
        "report_columns": settings.col_names.report.model_dump_json(),
        "subsystems": json.dumps(settings.subsystems),
        "service_name": settings.platform.inference_service,
        "backend": DEFAULT_BACKEND,
    }
    declared = {name: field.default for name, field in pipeline_parameters().items() if not field.is_required()}
    return {name: _json_value(value) for name, value in {**declared, **configured}.items()}


def _json_value(default: Any) -> Any:
    if isinstance(default, tuple):
        return list_of(default)
    return str(default) if isinstance(default, str) else default  # an enum's member becomes its text


def _pipeline(
    body: Callable[[Channels], Any],
    title: str,
    description: str,
    annotations: dict[str, Any],
    defaults_: dict[str, Any] | None = None,
    returns: Any = inspect.Signature.empty,
) -> base_component.BaseComponent:
    """Make a pipeline of a function that takes its parameters by name in one mapping."""

    def function(*values: Any) -> Any:
        return body(dict(zip(annotations, values, strict=True)))

    declared = pipeline_parameters()
    lines = [f"    {parameter}: {described(declared[parameter])}" for parameter in annotations if parameter in declared]
    text = "\n".join([description, "", "Args:", *lines])
    signed = describe_to_kfp(function, title.replace("-", "_"), text, annotations, defaults_, returns)
    return dsl.pipeline(name=title, description=description)(signed)


def _values(values: Channels, *steps: type[Arguments]) -> dict[str, Any]:
    """Return the values of the parameters that steps take."""
    return {parameter: values[parameter] for step in steps for parameter in step.parameters().values()}


def _annotations(*steps: type[Arguments]) -> dict[str, Any]:
    declared = pipeline_parameters()
    return {parameter: annotation_of(declared[parameter]) for step in steps for parameter in step.parameters().values()}


def _datasets(task: dsl.PipelineTask, *names: str, prefix: str = "") -> dict[str, Any]:
    """Return the URIs of a task's datasets as arguments of another step."""
    return {f"{name}_df_path": task.outputs[f"{prefix}{name}_uri"] for name in names}


def _build_split_archives(tasks: TaskBuilder) -> base_component.BaseComponent:
    """Build the loop over the archives as a pipeline of its own: locally, only a nested input can be looped over."""

    def split_archives(values: Channels) -> Any:
        with dsl.ParallelFor(values["archives"]) as archive:
            split = tasks.with_parameters(values)(
                SplitParquetFile,
                tasks.settings.resources.data,
                file_path=archive.uri,
                fingerprint=archive.fingerprint,
            )
        return dsl.Collected(split.outputs["partitions_uri"])

    annotations = {"archives": ArchiveList, **_annotations(SplitParquetFile)}
    return _pipeline(split_archives, "split-archives", "Split every archive.", annotations, returns=JsonList)


def _build_deploy_if_good(tasks: TaskBuilder, origin: Origin) -> base_component.BaseComponent:
    """Build the deployment as a pipeline of its own: locally, only a nested input can be a condition.

    Nothing in it uses the headline, the result of the gate and the reasons: Kubeflow Pipelines logs the inputs of a
    nested pipeline, and `--wait` reads them there.
    """
    settings = tasks.settings
    hosting = {
        name: getattr(settings.platform, name) for name in (*Replicas.model_fields, *PayloadLogging.model_fields)
    }

    def deploy_if_good(values: Channels) -> None:
        with dsl.If(values["promoted"] == True):  # noqa: E712 - the comparison is compiled
            tasks.with_parameters(values)(
                DeployToKserve,
                settings.resources.light,
                repeatable=False,
                cached=False,
                bundle_path=values["model_uri"],
                test_df_path=values["test_uri"],
                pods=tasks.pods(settings.resources.serving),
                registry=settings.platform.model_registry,
                commit=origin.commit,
                **hosting,
            )

    inputs = {
        **{"promoted": bool, "promotion_reason": str, "gate_passed": bool, "gate_reason": str},
        **{"headline": str, "model_uri": str, "test_uri": str},
    }
    annotations = {**inputs, **_annotations(DeployToKserve)}
    return _pipeline(deploy_if_good, "deploy-if-good", "Deploy a model that is promoted.", annotations)

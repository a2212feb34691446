"""The pipeline: which step feeds which, and what each may use on the cluster. Nothing is read or sent here."""

from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl import base_component

from container_component_src.cluster.step import (
    POD_NAME_VARIABLE,
    POD_NAMESPACE_VARIABLE,
    POD_UID_VARIABLE,
    RUN_LABEL,
)
from container_component_src.model.arguments import checked
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.serving.deployment.service import Hosting
from container_component_src.settings import Settings, StepResources
from container_component_src.storage import S3_ENVIRONMENT
from pipeline import components
from pipeline.annotations import ArchiveList, JsonList

# Who a step is: what it starts is owned by its pod, and labelled as KFP labels all pods of the run.
_POD_FIELDS = {
    POD_NAME_VARIABLE: "metadata.name",
    POD_UID_VARIABLE: "metadata.uid",
    POD_NAMESPACE_VARIABLE: "metadata.namespace",
    RUN_ID_VARIABLE: f"metadata.labels['{RUN_LABEL}']",
}
# Hours for the steps that do little, so that an image that cannot be pulled does not hold up the end of the run.
_SHORT = 0.25
_LAUNCH_MARGIN = 1  # hours that a step outlives the training it waits for, to queue, to report and to tidy up
_RETRY_PAUSE = 30  # seconds before the first retry, twice as long before each further one


def build_pipeline(settings: Settings, cache: bool = True) -> base_component.BaseComponent:
    """Wire the pipeline for the names, paths and resources of some settings; all else is a pipeline parameter.

    Args:
        settings: The configuration.
        cache: Whether steps may be answered from earlier runs. It is said here because kfp's client, asked to do
            without, tells the outermost tasks only.
    """
    limits, resources, names = settings.limits, settings.resources, settings.col_names
    on = _Platform(settings, cache)
    report_columns_default = names.report.model_dump_json()  # text: the compiler orders keys of objects at random
    split_archives = _build_split_archives(on)
    deploy_if_good = _build_deploy_if_good(on)

    @dsl.pipeline(
        name="columbus-eclss-ad-pipeline",
        description="From yearly telemetry archives to a deployed anomaly detector for the Columbus ECLSS.",
    )
    def columbus_eclss_ad_pipeline(
        archives_path: str = settings.paths.archives,
        reports_path: str = settings.paths.reports,
        timestamp_col: str = names.timestamp,
        report_columns: str = report_columns_default,
        strict_reports: bool = True,
        backend: str = "kubernetes",
        namespace: str = "",
        data_root: str = settings.paths.data_root,
        minio_endpoint: str = "",
        rowgroup_limit: int = 0,
        rowgroups_per_file: int = 4,
        sample_frac: float = 1.0,
        num_dask_workers: int = 2,
        min_dask_workers: int = 0,
        max_dask_workers: int = 0,
        window_hours: float = 12.0,
        block_hours: float = 6.0,
        val_fraction: float = 0.2,
        scaler_type: str = "standard",
        latent_dims: JsonList = [8, 16, 24, 32],  # noqa: B006 - KFP reads the default, nothing changes it
        hidden_dims: JsonList = ["256,128"],  # noqa: B006
        betas: JsonList = [1.0],  # noqa: B006
        lrs: JsonList = [0.003],  # noqa: B006
        batch_sizes: JsonList = [1024],  # noqa: B006
        tuning_algorithm: str = "tpe",
        trial_early_stopping: str = "none",
        medianstop_start_step: int = 1,
        medianstop_min_trials_required: int = 2,
        max_trials: int = 4,
        parallel_trials: int = 2,
        max_failed_trials: int = 1,
        tuning_max_epochs: int = 2,
        max_epochs: int = 8,
        early_stopping_patience: int = 3,
        window_steps: int = 1,
        num_gpu_nodes: int = 1,
        smoothing_window: int = 5,
        alarm_quantile: float = 0.99,
        threshold_method: str = "quantile",
        min_composite_f1: float = 0.3,
        service_name: str = settings.platform.inference_service,
        take_over_service: bool = False,
        seed: int = 42,
    ) -> None:
        cleaning = components.cleanup(namespace=namespace, backend=backend)
        on.configure(cleaning, resources.light, _SHORT).set_caching_options(False)
        with dsl.ExitHandler(cleaning, name="steps"):
            listing = components.list_archives(
                archives_path=archives_path,
                reports_path=reports_path,
                timestamp_col=timestamp_col,
                data_root=data_root,
                namespace=namespace,
                backend=backend,
            )
            on.configure(listing, resources.light, _SHORT).set_caching_options(False)
            split = split_archives(
                archives=listing.outputs["archives"],
                timestamp_col=timestamp_col,
                rowgroup_limit=rowgroup_limit,
                rowgroups_per_file=rowgroups_per_file,
                data_root=data_root,
            )
            dataset = components.run_dask_preprocessing(
                partitioned_telemetry_paths=split.output,
                sample_frac=sample_frac,
                timestamp_col=timestamp_col,
                minio_endpoint=minio_endpoint,
                num_dask_workers=num_dask_workers,
                min_dask_workers=min_dask_workers,
                max_dask_workers=max_dask_workers,
                **on.pods(namespace, resources.dask_worker, image_name="dask_worker_image"),
                backend=backend,
                data_root=data_root,
            )
            on.configure(dataset, resources.light)
            labels = components.label_telemetry(
                dataset_uri=dataset.outputs["dataset_uri"],
                reports_path=reports_path,
                reports_fingerprint=listing.outputs["reports_fingerprint"],
                report_columns=report_columns,
                strict_reports=strict_reports,
                data_root=data_root,
            )
            on.configure(labels, resources.data)
            parts = components.create_train_val_test_split(
                dataset_uri=dataset.outputs["dataset_uri"],
                labels_uri=labels.outputs["labels_uri"],
                window_hours=window_hours,
                block_hours=block_hours,
                val_fraction=val_fraction,
                seed=seed,
                data_root=data_root,
            )
            on.configure(parts, resources.data)
            scaler = components.fit_scaler(train_uri=parts.outputs["train_uri"], scaler_type=scaler_type)
            on.configure(scaler, resources.data)
            scaled = components.scale_dataframes(
                train_uri=parts.outputs["train_uri"],
                val_uri=parts.outputs["val_uri"],
                test_uri=parts.outputs["test_uri"],
                scaler=scaler.outputs["scaler"],
                data_root=data_root,
            )
            on.configure(scaled, resources.data)
            tuning = components.run_katib_experiment(
                train_uri=scaled.outputs["scaled_train_uri"],
                val_uri=scaled.outputs["scaled_val_uri"],
                latent_dims=latent_dims,
                hidden_dims=hidden_dims,
                betas=betas,
                lrs=lrs,
                batch_sizes=batch_sizes,
                algorithm=tuning_algorithm,
                max_trials=max_trials,
                parallel_trials=parallel_trials,
                max_failed_trials=max_failed_trials,
                max_epochs=tuning_max_epochs,
                early_stopping_patience=early_stopping_patience,
                trial_early_stopping=trial_early_stopping,
                medianstop_start_step=medianstop_start_step,
                medianstop_min_trials_required=medianstop_min_trials_required,
                trial_user=settings.platform.trial_user,
                window_steps=window_steps,
                trial_timeout=limits.trial_hours * 3600,
                seed=seed,
                **on.training_pods(namespace),
                backend=backend,
            )
            on.configure(tuning, resources.light, limits.tuning_hours)
            training = components.run_pytorchjob(
                train_uri=scaled.outputs["scaled_train_uri"],
                val_uri=scaled.outputs["scaled_val_uri"],
                hyperparameters=tuning.outputs["best_hyperparameters"],
                max_epochs=max_epochs,
                early_stopping_patience=early_stopping_patience,
                window_steps=window_steps,
                num_gpu_nodes=num_gpu_nodes,
                smoothing_window=smoothing_window,
                alarm_quantile=alarm_quantile,
                threshold_method=threshold_method,
                job_timeout=limits.training_hours * 3600,
                seed=seed,
                **on.training_pods(namespace),
                backend=backend,
                data_root=data_root,
            )
            on.configure(training, resources.light, limits.training_hours + _LAUNCH_MARGIN)
            evaluation = components.run_evaluation(
                model=training.outputs["model"],
                train_uri=scaled.outputs["scaled_train_uri"],
                val_uri=scaled.outputs["scaled_val_uri"],
                test_uri=scaled.outputs["scaled_test_uri"],
                data_root=data_root,
            )
            on.configure(evaluation, resources.data)
            report = components.visualize_results(
                model=training.outputs["model"],
                evaluation=evaluation.outputs["evaluation"],
                trials=tuning.outputs["trials"],
                dataset_uri=dataset.outputs["dataset_uri"],
                train_uri=parts.outputs["train_uri"],
                val_uri=parts.outputs["val_uri"],
                test_uri=parts.outputs["test_uri"],
                scores_uri=evaluation.outputs["scores_uri"],
            )
            on.configure(report, resources.data)
            deploy_if_good(
                composite_f1=evaluation.outputs["composite_f1"],
                min_composite_f1=min_composite_f1,
                model_uri=training.outputs["model_uri"],
                test_uri=scaled.outputs["scaled_test_uri"],
                service_name=service_name,
                take_over_service=take_over_service,
                namespace=namespace,
                backend=backend,
            )

    return columbus_eclss_ad_pipeline


class _Platform:
    """What the cluster must know of each task."""

    def __init__(self, settings: Settings, cache: bool) -> None:
        self.settings = settings
        self.cache = cache

    def configure(
        self, task: dsl.PipelineTask, resources: StepResources, hours: float | None = None, repeatable: bool = True
    ) -> dsl.PipelineTask:
        """Set a task's image, resources, limits and identity, and give it the S3 credentials from the Secret.

        Steps are repeatable: they empty their outputs first, their results follow from their inputs, and what they
        start is named after the run, so that the next attempt adopts it. Only the deployment is not: a model that was
        rolled back would get traffic once more. CPU is not limited, because throttling slows more than it shares.
        """
        image, limits = self.settings.image, self.settings.limits
        task.set_container_image(image.reference)
        if not self.cache:
            task.set_caching_options(False)
        task.set_cpu_request(resources.cpu).set_memory_request(resources.memory).set_memory_limit(resources.memory)
        deadline = round((hours or limits.step_hours) * 3600)
        if repeatable and limits.retries:
            task.set_retry(
                limits.retries,
                backoff_duration=f"{_RETRY_PAUSE}s",
                backoff_factor=2.0,
                backoff_max_duration=f"{_seconds_of_all_attempts(deadline, limits.retries)}s",
            )
        kubernetes.set_image_pull_policy(task, image.pull_policy)
        kubernetes.set_timeout(task, deadline)
        kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "columbus-eclss-ad")
        for variable, field in _POD_FIELDS.items():
            kubernetes.use_field_path_as_env(task, variable, field)
        secret = self.settings.platform.s3_secret
        return kubernetes.use_secret_as_env(
            task, secret_name=secret, secret_key_to_env={name: name for name in S3_ENVIRONMENT}, optional=True
        )

    def pods(self, namespace: Any, resources: StepResources, image_name: str = "image") -> dict[str, Any]:
        """Arguments of a launching step: how the pods run that it starts.

        Args:
            namespace: The pipeline's parameter.
            resources: Of each pod.
            image_name: What the step calls the image.
        """
        return {
            "namespace": namespace,
            image_name: self.settings.image.reference,
            "image_pull_policy": self.settings.image.pull_policy,
            "s3_secret": self.settings.platform.s3_secret,
            "service_account": self.settings.platform.service_account,
            "cpu": resources.cpu,
            "memory": resources.memory,
        }

    def training_pods(self, namespace: Any) -> dict[str, Any]:
        """Arguments of a step that starts trainings."""
        training = self.settings.resources.training
        special = training.model_dump(include={"gpus", "gpu_resource", "shared_memory"})
        return {**self.pods(namespace, training), **special}


def _seconds_of_all_attempts(deadline: int, retries: int) -> int:
    """How long a step and its retries may take together.

    This is no limit of the pauses: Argo counts it from the start of the first attempt, makes no retry after it, and
    kills the attempt that runs then. kfp cannot leave it out (it would write one hour), so it is more than all attempts
    take to their deadlines, with as long as one of them for the time in which their pods wait for a node.
    """
    pauses = _RETRY_PAUSE * (2**retries - 1)
    return (retries + 2) * deadline + pauses


def _build_split_archives(on: _Platform) -> base_component.BaseComponent:
    """The loop is a pipeline of its own: a loop over a task's output resolves locally only as a nested input."""

    @dsl.pipeline(name="split-archives")
    def split_archives(
        archives: ArchiveList, timestamp_col: str, rowgroup_limit: int, rowgroups_per_file: int, data_root: str
    ) -> JsonList:
        with dsl.ParallelFor(archives) as archive:
            split = components.split_parquet_file(
                file_path=archive.uri,
                fingerprint=archive.fingerprint,
                timestamp_col=timestamp_col,
                rowgroup_limit=rowgroup_limit,
                rowgroups_per_file=rowgroups_per_file,
                data_root=data_root,
            )
            on.configure(split, on.settings.resources.data)
        return dsl.Collected(split.outputs["partitions_uri"])

    return split_archives


def _build_deploy_if_good(on: _Platform) -> base_component.BaseComponent:
    """The gate is a pipeline of its own: a condition on a task's output resolves locally only as a nested input.

    Raises:
        InputError: The service cannot be as the settings say; this is not left to the last step of a run.
    """
    hosting = on.settings.platform.model_dump(include={"deployment_mode", "min_replicas", "max_replicas"})
    checked(Hosting, hosting)

    @dsl.pipeline(name="deploy-if-good")
    def deploy_if_good(
        composite_f1: float,
        min_composite_f1: float,
        model_uri: str,
        test_uri: str,
        service_name: str,
        take_over_service: bool,
        namespace: str,
        backend: str,
    ) -> None:
        with dsl.If(composite_f1 >= min_composite_f1):
            deployment = components.deploy_to_kserve(
                model_uri=model_uri,
                test_uri=test_uri,
                service_name=service_name,
                **hosting,
                take_over=take_over_service,
                **on.pods(namespace, on.settings.resources.serving),
                backend=backend,
            )
            on.configure(deployment, on.settings.resources.light, repeatable=False).set_caching_options(False)

    return deploy_if_good

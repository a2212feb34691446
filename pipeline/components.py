"""The steps of the pipeline as KFP container components: what goes in, what comes out, which command runs.

Every step runs the one image through its command line. Large datasets travel as URIs (a dataset passed as an artifact
would be downloaded whole into each pod); the artifact beside each URI is there for its metadata and for lineage. Steps
that write them take `data_root`, which is the same in every run: where in it a run writes is worked out in the step. A
`fingerprint` input is used by no option: it makes the step's cache key follow the data behind the URI.
"""

from typing import Any

from kfp import dsl

from pipeline.annotations import ArchiveList, JsonDict, JsonList

PROGRAM = ["python", "container_component_src/main.py"]
UNSET_IMAGE = "set-by-the-pipeline"  # the pipeline definition names the image of every task


def _step(command: str, **options: Any) -> dsl.ContainerSpec:
    """A command of the image that reports outputs, with its options; `df_path=value` becomes `--df-path value`."""
    return _command(command, **options, executor_input="{{$}}")


def _command(command: str, **options: Any) -> dsl.ContainerSpec:
    arguments = [command]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    return dsl.ContainerSpec(image=UNSET_IMAGE, command=PROGRAM, args=arguments)


@dsl.container_component
def list_archives(
    archives_path: str,
    reports_path: str,
    timestamp_col: str,
    data_root: str,
    namespace: str,
    backend: str,
    archives: dsl.OutputPath(ArchiveList),
    reports_fingerprint: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Find the archives and fingerprint them and the reports; mark the data root."""
    return _step(
        "list_archives",
        archives_path=archives_path,
        reports_path=reports_path,
        timestamp_col=timestamp_col,
        data_root=data_root,
        namespace=namespace,
        backend=backend,
    )


@dsl.container_component
def split_parquet_file(
    file_path: str,
    fingerprint: str,
    timestamp_col: str,
    rowgroup_limit: int,
    rowgroups_per_file: int,
    data_root: str,
    partitions: dsl.Output[dsl.Dataset],
    partitions_uri: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Split one archive into files of a few row groups."""
    return _step(
        "split_parquet_file",
        file_path=file_path,
        target_path=partitions.uri,
        timestamp_col=timestamp_col,
        rowgroup_limit=rowgroup_limit,
        rowgroups_per_file=rowgroups_per_file,
        data_root=data_root,
    )


@dsl.container_component
def run_dask_preprocessing(
    partitioned_telemetry_paths: JsonList,
    sample_frac: float,
    timestamp_col: str,
    minio_endpoint: str,
    num_dask_workers: int,
    min_dask_workers: int,
    max_dask_workers: int,
    namespace: str,
    dask_worker_image: str,
    image_pull_policy: str,
    s3_secret: str,
    service_account: str,
    cpu: str,
    memory: str,
    backend: str,
    data_root: str,
    dataset: dsl.Output[dsl.Dataset],
    dataset_uri: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Float channels of all partitions, sampled, as one dataset."""
    return _step(
        "run_dask_preprocessing",
        partitioned_telemetry_paths=partitioned_telemetry_paths,
        sample_frac=sample_frac,
        df_out_path=dataset.uri,
        data_root=data_root,
        timestamp_col=timestamp_col,
        minio_endpoint=minio_endpoint,
        num_dask_workers=num_dask_workers,
        min_workers=min_dask_workers,
        max_workers=max_dask_workers,
        namespace=namespace,
        dask_worker_image=dask_worker_image,
        image_pull_policy=image_pull_policy,
        s3_secret=s3_secret,
        service_account=service_account,
        cpu=cpu,
        memory=memory,
        backend=backend,
    )


@dsl.container_component
def label_telemetry(
    dataset_uri: str,
    reports_path: str,
    reports_fingerprint: str,
    report_columns: str,
    strict_reports: bool,
    data_root: str,
    labels: dsl.Output[dsl.Dataset],
    labels_uri: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Label series from the anomaly reports."""
    return _step(
        "label_telemetry",
        df_path=dataset_uri,
        reports_path=reports_path,
        labels_path=labels.uri,
        data_root=data_root,
        report_columns=report_columns,
        strict_reports=strict_reports,
    )


@dsl.container_component
def create_train_val_test_split(
    dataset_uri: str,
    labels_uri: str,
    window_hours: float,
    block_hours: float,
    val_fraction: float,
    seed: int,
    data_root: str,
    train: dsl.Output[dsl.Dataset],
    val: dsl.Output[dsl.Dataset],
    test: dsl.Output[dsl.Dataset],
    train_uri: dsl.OutputPath(str),
    val_uri: dsl.OutputPath(str),
    test_uri: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Time around anomalies as test; blocks of the rest as train and val."""
    return _step(
        "create_train_val_test_split",
        df_path=dataset_uri,
        labels_path=labels_uri,
        train_df_path=train.uri,
        val_df_path=val.uri,
        test_df_path=test.uri,
        data_root=data_root,
        window_hours=window_hours,
        block_hours=block_hours,
        val_fraction=val_fraction,
        seed=seed,
    )


@dsl.container_component
def fit_scaler(train_uri: str, scaler_type: str, scaler: dsl.Output[dsl.Artifact]) -> dsl.ContainerSpec:
    """Centre and scale of every channel."""
    return _step("fit_scaler", train_df_path=train_uri, scaler_type=scaler_type, scaler_path=scaler.path)


@dsl.container_component
def scale_dataframes(
    train_uri: str,
    val_uri: str,
    test_uri: str,
    scaler: dsl.Input[dsl.Artifact],
    data_root: str,
    scaled_train: dsl.Output[dsl.Dataset],
    scaled_val: dsl.Output[dsl.Dataset],
    scaled_test: dsl.Output[dsl.Dataset],
    scaled_train_uri: dsl.OutputPath(str),
    scaled_val_uri: dsl.OutputPath(str),
    scaled_test_uri: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Train, val and test in units of the scaler."""
    return _step(
        "scale_dataframes",
        scaler_path=scaler.path,
        train_df_path=train_uri,
        val_df_path=val_uri,
        test_df_path=test_uri,
        scaled_train_df_path=scaled_train.uri,
        scaled_val_df_path=scaled_val.uri,
        scaled_test_df_path=scaled_test.uri,
        data_root=data_root,
    )


@dsl.container_component
def run_katib_experiment(
    train_uri: str,
    val_uri: str,
    latent_dims: JsonList,
    hidden_dims: JsonList,
    betas: JsonList,
    lrs: JsonList,
    batch_sizes: JsonList,
    algorithm: str,
    max_trials: int,
    parallel_trials: int,
    max_failed_trials: int,
    max_epochs: int,
    early_stopping_patience: int,
    trial_early_stopping: str,
    medianstop_start_step: int,
    medianstop_min_trials_required: int,
    trial_user: int,
    window_steps: int,
    trial_timeout: float,
    seed: int,
    namespace: str,
    image: str,
    image_pull_policy: str,
    s3_secret: str,
    service_account: str,
    cpu: str,
    memory: str,
    gpus: int,
    gpu_resource: str,
    shared_memory: str,
    backend: str,
    trials: dsl.Output[dsl.Artifact],
    trials_page: dsl.Output[dsl.HTML],
    best_hyperparameters: dsl.OutputPath(JsonDict),
) -> dsl.ContainerSpec:
    """Hyperparameters with the lowest validation loss."""
    return _step(
        "run_katib_experiment",
        train_df_path=train_uri,
        val_df_path=val_uri,
        latent_dims=latent_dims,
        hidden_dims=hidden_dims,
        betas=betas,
        lrs=lrs,
        batch_sizes=batch_sizes,
        algorithm=algorithm,
        max_trials=max_trials,
        parallel_trials=parallel_trials,
        max_failed_trials=max_failed_trials,
        max_epochs=max_epochs,
        early_stopping_patience=early_stopping_patience,
        trial_early_stopping=trial_early_stopping,
        medianstop_start_step=medianstop_start_step,
        medianstop_min_trials_required=medianstop_min_trials_required,
        trial_user=trial_user,
        window_steps=window_steps,
        trial_timeout=trial_timeout,
        seed=seed,
        trials_path=trials.path,
        trials_page_path=trials_page.path,
        namespace=namespace,
        image=image,
        image_pull_policy=image_pull_policy,
        s3_secret=s3_secret,
        service_account=service_account,
        cpu=cpu,
        memory=memory,
        gpus=gpus,
        gpu_resource=gpu_resource,
        shared_memory=shared_memory,
        backend=backend,
    )


@dsl.container_component
def run_pytorchjob(
    train_uri: str,
    val_uri: str,
    hyperparameters: JsonDict,
    max_epochs: int,
    early_stopping_patience: int,
    window_steps: int,
    num_gpu_nodes: int,
    smoothing_window: int,
    alarm_quantile: float,
    threshold_method: str,
    job_timeout: float,
    seed: int,
    namespace: str,
    image: str,
    image_pull_policy: str,
    s3_secret: str,
    service_account: str,
    cpu: str,
    memory: str,
    gpus: int,
    gpu_resource: str,
    shared_memory: str,
    backend: str,
    data_root: str,
    model: dsl.Output[dsl.Model],
    model_uri: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Distributed training with the best hyperparameters; writes the model bundle, from pods that have no launcher."""
    return _step(
        "run_pytorchjob",
        train_df_path=train_uri,
        val_df_path=val_uri,
        hyperparameters=hyperparameters,
        max_epochs=max_epochs,
        early_stopping_patience=early_stopping_patience,
        window_steps=window_steps,
        num_gpu_nodes=num_gpu_nodes,
        smoothing_window=smoothing_window,
        alarm_quantile=alarm_quantile,
        threshold_method=threshold_method,
        job_timeout=job_timeout,
        seed=seed,
        model_output_file=model.uri,
        model_copy_path=model.path,
        data_root=data_root,
        namespace=namespace,
        image=image,
        image_pull_policy=image_pull_policy,
        s3_secret=s3_secret,
        service_account=service_account,
        cpu=cpu,
        memory=memory,
        gpus=gpus,
        gpu_resource=gpu_resource,
        shared_memory=shared_memory,
        backend=backend,
    )


@dsl.container_component
def run_evaluation(
    model: dsl.Input[dsl.Model],
    train_uri: str,
    val_uri: str,
    test_uri: str,
    data_root: str,
    scores: dsl.Output[dsl.Dataset],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
    composite_f1: dsl.OutputPath(float),
    scores_uri: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Scores of the test data and what they are worth."""
    return _step(
        "run_evaluation",
        bundle_path=model.path,
        train_df_path=train_uri,
        val_df_path=val_uri,
        test_df_path=test_uri,
        scores_path=scores.uri,
        data_root=data_root,
        evaluation_path=evaluation.path,
    )


@dsl.container_component
def visualize_results(
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    trials: dsl.Input[dsl.Artifact],
    dataset_uri: str,
    train_uri: str,
    val_uri: str,
    test_uri: str,
    scores_uri: str,
    report: dsl.Output[dsl.HTML],
) -> dsl.ContainerSpec:
    """One self-contained HTML report."""
    return _step(
        "visualize_results",
        df_path=dataset_uri,
        train_df_path=train_uri,
        val_df_path=val_uri,
        test_df_path=test_uri,
        scores_path=scores_uri,
        evaluation_path=evaluation.path,
        bundle_path=model.path,
        trials_path=trials.path,
        report_path=report.path,
    )


@dsl.container_component
def deploy_to_kserve(
    model_uri: str,
    test_uri: str,
    service_name: str,
    deployment_mode: str,
    min_replicas: int,
    max_replicas: int,
    take_over: bool,
    namespace: str,
    image: str,
    image_pull_policy: str,
    s3_secret: str,
    service_account: str,
    cpu: str,
    memory: str,
    backend: str,
    endpoint: dsl.OutputPath(str),
) -> dsl.ContainerSpec:
    """Create or update the InferenceService and send it one real request."""
    return _step(
        "deploy_to_kserve",
        bundle_path=model_uri,
        test_df_path=test_uri,
        service_name=service_name,
        deployment_mode=deployment_mode,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        take_over=take_over,
        namespace=namespace,
        image=image,
        image_pull_policy=image_pull_policy,
        s3_secret=s3_secret,
        service_account=service_account,
        cpu=cpu,
        memory=memory,
        backend=backend,
    )


@dsl.container_component
def cleanup(namespace: str, backend: str) -> dsl.ContainerSpec:
    """Delete what the run left behind; its pod's environment names the run."""
    return _command("cleanup", namespace=namespace, backend=backend)

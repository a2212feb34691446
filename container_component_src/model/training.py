"""Trains a VAE on a dataset and writes the model bundle."""

import logging
import os
import platform
import warnings
from importlib.metadata import version

import lightning.pytorch as pl
import numpy as np
import safetensors.torch
import torch
from lightning.fabric.plugins.environments.kubeflow import KubeflowEnvironment
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.limits import usable_memory
from container_component_src.model.bundle import (
    Architecture,
    Bundle,
    BundleInfo,
    Epoch,
    TrainingSummary,
    build,
    check_same_channels,
)
from container_component_src.model.calibration import calibrate, channel_statistics, longest_step
from container_component_src.model.callbacks import EpochHistory, SafetensorsIO
from container_component_src.model.datamodule import RowSource, TelemetryDataModule, TensorSource, load_values
from container_component_src.model.hardware import Acceleration, useful_threads
from container_component_src.model.lightning_module import VAEModule
from container_component_src.model.streaming import StreamingSource
from container_component_src.model.vae import TimeStampVAE
from container_component_src.model.windows import Windowing
from container_component_src.scratch import scratch_directory
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset

_VARIANCE_FLOOR = 1e-4
SHUFFLE_BUFFER_BYTES = 256 * 2**20
_OPERATOR_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")
_LIBRARIES = ("torch", "lightning", "safetensors", "numpy")

logger = logging.getLogger(__name__)


def train(arguments: TrainingArguments) -> TrainingSummary:
    """Train, keep the weights of the best epoch, calibrate the threshold on the validation scores, write the bundle.

    In a distributed run every process trains on its share, and the first one writes the bundle.

    Raises:
        InputError: The datasets do not fit each other or the batch size, or hold values that are missing or infinite.
        StepError: The loss became infinite or NaN.
    """
    train_set, val_set = Dataset.open(arguments.train_df_path), Dataset.open(arguments.val_df_path)
    check_datasets(train_set, val_set, arguments.batch_size)
    nodes, rank = _place(arguments)
    architecture = Architecture(
        latent_dim=arguments.latent_dim,
        hidden_dims=arguments.hidden_dims,
        variance_floor=_VARIANCE_FLOOR,
        window_steps=arguments.window_steps,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        model = build(architecture, len(train_set.channels))
    windowing = Windowing(arguments.window_steps, longest_step(val_set))
    train_rows, val_rows = (
        row_source(dataset, arguments.memory_share, arguments.seed, windowing) for dataset in (train_set, val_set)
    )
    epochs = fit(model, train_rows, val_rows, arguments)
    best = min(epochs, key=lambda epoch: epoch.val_loss)
    summary = TrainingSummary(
        train_rows=train_set.manifest.rows,
        val_rows=val_set.manifest.rows,
        epochs=len(epochs),
        best_epoch=best.epoch,
        val_loss=best.val_loss,
        history=tuple(epochs),
        hyperparameters=arguments.hyperparameters,
        nodes=nodes,
    )
    if rank == 0:
        info = BundleInfo(
            architecture=architecture,
            channels=train_set.channels,
            scaler=train_set.manifest.scaler,
            thresholds=calibrate(model, val_set, arguments),
            training=summary,
            channel_statistics=channel_statistics(train_set),
            seed=arguments.seed,
            versions={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        )
        location = storage.resolve(arguments.model_output_file)
        Bundle(info, model).save(location)
        logger.info("wrote %s with the weights of epoch %d of %d", location.uri, best.epoch, len(epochs))
    return summary


def check_datasets(train: Dataset, val: Dataset, batch_size: int) -> None:
    """Refuse datasets that cannot be trained on together.

    Raises:
        InputError: Channels or scalers differ, or there are too few rows.
    """
    train_uri, val_uri = train.location.uri, val.location.uri
    for dataset in (train, val):
        if not dataset.manifest.rows:
            raise InputError(f"{dataset.location.uri}: the dataset has no rows; widen the split")
    check_same_channels(
        train.channels, val.channels, f"the training data {train_uri}", f"the validation data {val_uri}"
    )
    if train.manifest.scaler != val.manifest.scaler:
        raise InputError(f"{val_uri}: scaled differently from {train_uri}; scale both with one scaler")
    if train.manifest.rows < batch_size:
        raise InputError(
            f"batch size {batch_size} exceeds the {train.manifest.rows} rows of {train_uri}; use a smaller --batch-size"
        )


def fit(model: TimeStampVAE, train_rows: RowSource, val_rows: RowSource, arguments: TrainingArguments) -> list[Epoch]:
    """Run the training loop; the first process leaves the model with its best weights, in evaluation mode on the CPU.

    Args:
        model: Untrained network, the same in every process.
        train_rows: Rows to learn from.
        val_rows: Rows that tell when to stop.
        arguments: Of the run.

    Returns:
        The losses of all epochs.

    Raises:
        StepError: The loss became infinite or NaN.
    """
    nodes, _ = _place(arguments)
    acceleration = Acceleration.on(cuda=torch.cuda.is_available())
    torch.set_num_threads(useful_threads(model, arguments.batch_size // nodes))
    torch.set_float32_matmul_precision(acceleration.matmul_precision)
    for name in ("lightning.pytorch", "lightning.fabric"):  # their accounts of themselves
        logging.getLogger(name).setLevel(logging.ERROR)
    module = VAEModule(model, arguments.beta, arguments.lr, arguments.seed, arguments.max_epochs)
    data = TelemetryDataModule(train_rows, val_rows, arguments.batch_size, arguments.seed, acceleration.pin_memory)
    history = EpochHistory()
    with scratch_directory() as folder:
        checkpoint = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            num_nodes=nodes,
            strategy=DDPStrategy(gradient_as_bucket_view=True) if arguments.run_as_pytorchjob else "auto",
            plugins=[SafetensorsIO(), *([KubeflowEnvironment()] if arguments.run_as_pytorchjob else [])],
            max_epochs=arguments.max_epochs,
            callbacks=[history, EarlyStopping("val_loss", patience=arguments.early_stopping_patience), checkpoint],
            default_root_dir=folder,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")  # hints to developers
            trainer.fit(module, data)
        if trainer.is_global_zero:
            module.load_state_dict(safetensors.torch.load_file(checkpoint.best_model_path))
    model.to("cpu").eval()
    return history.epochs


def row_source(dataset: Dataset, memory_share: float, seed: int, windowing: Windowing) -> RowSource:
    """The rows of a dataset: in memory if their windows fit into the share that they may take of it, else streamed."""
    size = dataset.manifest.rows * windowing.steps * len(dataset.channels) * np.dtype(np.float32).itemsize
    allowed = int(memory_share * usable_memory())
    place, uri = "in memory" if size <= allowed else "streamed", dataset.location.uri
    logger.info("%s: %s, %.0f MiB of %.0f MiB allowed", uri, place, size / 2**20, allowed / 2**20)
    if size <= allowed:
        return TensorSource(torch.from_numpy(load_values(dataset, seed, windowing)))
    return StreamingSource(dataset, SHUFFLE_BUFFER_BYTES // (size // dataset.manifest.rows), windowing)


def _place(arguments: TrainingArguments) -> tuple[int, int]:
    """Number of processes of the run and this one's rank, as the training operator tells them."""
    if not arguments.run_as_pytorchjob:
        return 1, 0
    missing = [name for name in _OPERATOR_VARIABLES if name not in os.environ]
    if missing:
        raise InputError(
            f"environment variable {missing[0]} is missing: --run-as-pytorchjob true is for processes that the "
            "training operator or run_pytorchjob starts; use --run-as-pytorchjob false"
        )
    return int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])

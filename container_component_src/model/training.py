"""Trains a VAE on a dataset and writes the model bundle."""

import logging
import os
import platform
import tempfile
import warnings
from collections.abc import Sequence
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
from container_component_src.evaluation.scoring import default_max_gap, smooth
from container_component_src.model import scoring
from container_component_src.model.arguments import TrainingArguments
from container_component_src.model.bundle import (
    Architecture,
    Bundle,
    BundleInfo,
    ChannelStatistics,
    Epoch,
    Thresholds,
    TrainingSummary,
    build,
    check_same_channels,
)
from container_component_src.model.callbacks import EpochHistory, SafetensorsIO
from container_component_src.model.cores import usable_cores
from container_component_src.model.datamodule import TelemetryDataModule, TensorSource, load_rows
from container_component_src.model.lightning_module import VAEModule
from container_component_src.model.vae import TimeStampVAE
from container_component_src.telemetry.dataset import Dataset, Frame, Values

_VARIANCE_FLOOR = 1e-4
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MULTIPLICATIONS_PER_THREAD = 20_000_000  # of one step; measured on two cores, see benchmarks/README.md
_STATISTICS_ROWS = 200_000  # evenly spaced rows that quantiles are taken from
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
    train_rows, val_rows = load_rows(train_set), load_rows(val_set)
    architecture = Architecture(
        latent_dim=arguments.latent_dim, hidden_dims=arguments.hidden_dims, variance_floor=_VARIANCE_FLOOR
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        model = build(architecture, len(train_set.channels))
    epochs = fit(model, train_rows.values, val_rows.values, arguments)
    best = min(epochs, key=lambda epoch: epoch.val_loss)
    summary = TrainingSummary(
        train_rows=len(train_rows),
        val_rows=len(val_rows),
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
            thresholds=calibrate(model, val_rows, arguments.smoothing_window, arguments.alarm_quantile),
            training=summary,
            channel_statistics=channel_statistics(train_set.channels, train_rows.values),
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


def fit(model: TimeStampVAE, train_values: Values, val_values: Values, arguments: TrainingArguments) -> list[Epoch]:
    """Run the training loop; the first process leaves the model with its best weights, in evaluation mode on the CPU.

    Args:
        model: Untrained network, the same in every process.
        train_values: Float32 [rows, channels], finite.
        val_values: Float32 [rows, channels], finite.
        arguments: Of the run.

    Returns:
        The losses of all epochs.

    Raises:
        StepError: The loss became infinite or NaN.
    """
    torch.set_num_threads(useful_threads(model, arguments.batch_size // _place(arguments)[0]))
    for name in ("lightning.pytorch", "lightning.fabric"):  # their accounts of themselves
        logging.getLogger(name).setLevel(logging.ERROR)
    module = VAEModule(model, arguments.beta, arguments.lr, arguments.seed)
    data = TelemetryDataModule(
        TensorSource(torch.from_numpy(train_values)),
        TensorSource(torch.from_numpy(val_values)),
        arguments.batch_size,
        arguments.seed,
    )
    history = EpochHistory()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            num_nodes=_place(arguments)[0],
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


def useful_threads(model: TimeStampVAE, batch_size: int) -> int:
    """Threads that a step of this size keeps busy, among the cores there are.

    Small steps are slower on more threads, which wait for each other, many times so beside other busy processes.

    Args:
        model: The network.
        batch_size: Rows of a step in this process.
    """
    allowed = int(os.environ.get("OMP_NUM_THREADS", usable_cores()))  # whoever sets it has shared the cores out
    multiplications = batch_size * sum(weight.numel() for weight in model.parameters())
    return max(1, min(allowed, multiplications // MULTIPLICATIONS_PER_THREAD))


def calibrate(model: TimeStampVAE, val: Frame, smoothing_window: int, quantile: float) -> Thresholds:
    """Take the alarm threshold from the validation scores, smoothed as scores are in operation.

    Args:
        model: Trained network.
        val: Validation rows.
        smoothing_window: Time steps of the causal rolling median.
        quantile: Share of the validation rows that lie at or below the threshold.
    """
    max_gap_ns = default_max_gap(val.timestamps)
    smoothed = smooth(val.timestamps, scoring.scores(model, val.values), smoothing_window, max_gap_ns)
    return Thresholds(
        score=float(np.quantile(smoothed, quantile)),
        method="quantile of the smoothed validation scores",
        quantile=quantile,
        smoothing_window=smoothing_window,
        max_gap_ns=max_gap_ns,
        val_rows=len(val),
    )


def channel_statistics(channels: Sequence[str], values: Values) -> dict[str, ChannelStatistics]:
    """Describe the training data channel by channel; quantiles from at most 200,000 evenly spaced rows.

    Args:
        channels: Names of the columns.
        values: Float32 [rows, channels].
    """
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    quantiles = np.quantile(values[:: -(-len(values) // _STATISTICS_ROWS)], _QUANTILES, axis=0)
    return {
        name: ChannelStatistics(
            mean=float(mean[column]),
            std=float(std[column]),
            quantiles={str(p): float(quantiles[row, column]) for row, p in enumerate(_QUANTILES)},
        )
        for column, name in enumerate(channels)
    }


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

"""Training of a detector on a dataset, which writes the model bundle."""

import logging
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import safetensors.torch
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.limits import usable_memory
from container_component_src.model.bundle import Bundle, build
from container_component_src.model.bundle_info import Architecture, BundleInfo, Epoch, TrainingSummary
from container_component_src.model.callbacks import EpochHistory, OwnSigterm, SafetensorsIO, ThreadsByLoad
from container_component_src.model.data_access import check_data
from container_component_src.model.datamodule import (
    Regime,
    RowSource,
    Shard,
    TelemetryDataModule,
    TensorSource,
    load_values,
)
from container_component_src.model.device_source import CopiedSource, DeviceSource
from container_component_src.model.ensemble import Ensemble
from container_component_src.model.hardware import CPU, Threads, best_device, device_memory, free_memory
from container_component_src.model.lightning_module import TrainingModule
from container_component_src.model.network import Network
from container_component_src.model.sampling import sample_windows
from container_component_src.model.selection import balance, select
from container_component_src.model.statistics import channel_statistics, max_gap, usual_departures
from container_component_src.model.streaming import StreamingSource
from container_component_src.model.windows import Windowing
from container_component_src.model.world import World, WorldEnvironment
from container_component_src.scratch import scratch_directory
from container_component_src.steps.training import Detector, TrainingArguments, least_batch_size
from container_component_src.telemetry.columns import check_same_channels
from container_component_src.telemetry.dataset import Dataset

_VARIANCE_FLOOR = 3e-3  # of a scaled channel; chosen by measurement, see docs/results.md
MIN_ACTIVE_SHARE = 0.25  # of the latents; with fewer, the training logs a warning
SAMPLE_WINDOWS, SAMPLED_ROWS = 20_000, 5_000_000  # from which the network before the first step is taken
SHUFFLE_BUFFER_BYTES = 256 * 2**20
_LIBRARIES = ("torch", "lightning", "safetensors", "numpy")

logger = logging.getLogger(__name__)


def train(arguments: TrainingArguments) -> TrainingSummary:
    """Train, keep the weights of the best epoch, and write the bundle, which is not calibrated yet.

    In a distributed run every process trains on its shard, and the first one writes the bundle.

    Raises:
        InputError: The datasets do not fit together, the nodes or the memory, or have missing or infinite values.
        StepError: The loss is infinite or NaN.
    """
    train_set, val_set = Dataset.open(arguments.train_df_path), Dataset.open(arguments.val_df_path)
    check_datasets(train_set, val_set, arguments.num_gpu_nodes)
    check_data(arguments, device_memory(), arguments.hyperparameters, nodes=arguments.num_gpu_nodes)
    world = _world(arguments)
    architecture = _architecture(arguments)
    windowing = Windowing(arguments.window_steps, max_gap(val_set))
    model = _initial(architecture, train_set.varying(), windowing, arguments)
    share, seed = arguments.memory_share, arguments.seed
    device = best_device()
    train_rows, val_rows = (row_source(data.varying(), share, seed, windowing, device) for data in (train_set, val_set))
    epochs = fit(model, train_rows, val_rows, arguments)
    summary = _summary(epochs, train_set, val_set, arguments, world.size)
    if world.rank == 0:
        model.to(device)
        model, architecture, found = _settled(model, architecture, val_set.varying(), windowing, arguments)
        active = _active_latents(model, val_rows, arguments.latent_dim)
        summary = summary.model_copy(update={"active_latents": active, "candidates": found})
        info = BundleInfo(
            architecture=architecture,
            channels=train_set.channels,
            scaler=train_set.manifest.scaler,
            max_gap_ns=windowing.max_gap_ns,
            constant_spreads=usual_departures(val_set),
            training=summary,
            channel_statistics=channel_statistics(train_set),
            seed=arguments.seed,
            versions={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        )
        Bundle(info, model).save(location := storage.resolve(arguments.model_output_file))
        logger.info("wrote %s with the weights of epoch %d of %d", location.uri, summary.best_epoch, len(epochs))
    return summary


def _initial(architecture: Architecture, train: Dataset, windowing: Windowing, arguments: TrainingArguments) -> Network:
    """Return the network before the first step, which is the same in all processes."""
    torch.set_num_threads(1)  # decompositions round as the number has it, and gain little from more
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        model = build(architecture, len(train.channels), arguments.beta)
        model.initialize(torch.from_numpy(sample_windows(train, windowing, SAMPLE_WINDOWS, SAMPLED_ROWS)))
    return model


def _settled(
    model: Network, architecture: Architecture, val: Dataset, windowing: Windowing, arguments: TrainingArguments
) -> tuple[Network, Architecture, dict[str, float]]:
    """Return the network to keep with its architecture, and how well each candidate found synthetic anomalies."""
    if not isinstance(model, Ensemble):
        return model, architecture, {}
    balance(model, val, windowing)
    if arguments.detector is not Detector.AUTO:
        return model, architecture, {}
    choice = select(model, val, windowing, arguments.seed)
    detector = Detector(choice.detector)
    kept = model if detector is Detector.ENSEMBLE else model.members()[detector]
    return kept, architecture.model_copy(update={"detector": detector}), choice.average_precision


def _active_latents(model: Network, val_rows: RowSource, latents: int) -> int | None:
    """Count the latents that tell validation rows apart, and warn if they are few."""
    active = model.active_latents(val_rows.ordered(Shard()))
    if active is None:
        return None
    logger.info("%d of %d latents are active", active, latents)
    if active < MIN_ACTIVE_SHARE * latents:
        logger.warning(
            "only %d of %d latents are active, so the model knows little of how channels depend on each other; train "
            "longer (--max-epochs, --min-epoch-steps), or lower --beta or --latent-dim",
            active,
            latents,
        )
    return active


def _architecture(arguments: TrainingArguments) -> Architecture:
    return Architecture(
        latent_dim=arguments.latent_dim,
        hidden_dims=arguments.hidden_dims,
        variance_floor=_VARIANCE_FLOOR,
        window_steps=arguments.window_steps,
        detector=Detector.ENSEMBLE if arguments.detector is Detector.AUTO else arguments.detector,
    )


def _summary(
    epochs: list[Epoch], train: Dataset, val: Dataset, arguments: TrainingArguments, nodes: int
) -> TrainingSummary:
    best = min(epochs, key=lambda epoch: epoch.val_loss)
    return TrainingSummary(
        train_rows=train.manifest.rows,
        val_rows=val.manifest.rows,
        epochs=len(epochs),
        best_epoch=best.epoch,
        val_loss=best.val_loss,
        history=tuple(epochs),
        hyperparameters=arguments.hyperparameters,
        nodes=nodes,
    )


def check_datasets(train: Dataset, val: Dataset, nodes: int) -> None:
    """Check that a training set and a validation set fit together and have enough rows.

    Raises:
        InputError: Channels or scalers differ, or there are too few rows.
    """
    train_uri, val_uri = train.location.uri, val.location.uri
    for dataset in (train, val):
        if not dataset.manifest.rows:
            raise InputError(f"{dataset.location.uri}: the dataset has no rows", fix="change the split")
    check_same_channels(val_uri, val.channels, train.channels, train_uri)
    if train.manifest.scaler != val.manifest.scaler:
        raise InputError(f"{val_uri}: the scaler is not that of {train_uri}", fix="scale both with one scaler")
    if train.manifest.rows < least_batch_size(nodes):
        raise InputError(
            f"{train_uri}: {train.manifest.rows} rows are too few for {nodes} nodes", fix="lower --num-gpu-nodes"
        )


def fit(model: Network, train_rows: RowSource, val_rows: RowSource, arguments: TrainingArguments) -> list[Epoch]:
    """Run the training loop.

    Afterwards the model is in evaluation mode on the CPU; in the first process it has the weights of the best epoch.

    Args:
        model: Untrained network, equal in all processes.
        train_rows: Training rows.
        val_rows: Validation rows, for early stopping.
        arguments: Arguments of the training.

    Returns:
        Losses of all epochs.

    Raises:
        StepError: The loss is infinite or NaN.
    """
    world = _world(arguments)
    regime = Regime.of(train_rows.rows, arguments.batch_size, arguments.min_epoch_steps)
    threads = Threads(model, regime.batch_size // world.size, best_device())
    logger.info(
        "an epoch has %d optimization steps: %d x %d rows in batches of at most %d; threads: %d",
        regime.steps(train_rows.rows), regime.passes, train_rows.rows, regime.batch_size, torch.get_num_threads(),
    )  # fmt: skip
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    module = TrainingModule(model, arguments.lr, arguments.seed, arguments.max_epochs)
    data = TelemetryDataModule(train_rows, val_rows, regime, arguments.seed)
    history = EpochHistory(arguments.max_epochs)
    with scratch_directory() as folder:
        checkpoint = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
        early_stopping = EarlyStopping(
            monitor="val_loss",
            patience=arguments.early_stopping_patience,
        )
        callbacks = [ThreadsByLoad(threads), history, early_stopping, checkpoint, OwnSigterm()]
        trainer = _trainer(arguments, world, callbacks, folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")  # for developers
            trainer.fit(module, data)
        if world.size > 1:  # threads of the group may call Python while it ends, which aborts the process
            torch.distributed.destroy_process_group()
        if trainer.is_global_zero:
            module.load_state_dict(safetensors.torch.load_file(checkpoint.best_model_path))
    model.to("cpu").eval()
    return history.epochs


def _trainer(arguments: TrainingArguments, world: World, callbacks: list[pl.Callback], folder: Path) -> pl.Trainer:
    return pl.Trainer(
        accelerator=best_device().type,
        devices=1,
        num_nodes=world.size,
        strategy=DDPStrategy(gradient_as_bucket_view=True) if world.size > 1 else "auto",
        plugins=[SafetensorsIO(), *([WorldEnvironment(world)] if world.size > 1 else [])],
        max_epochs=arguments.max_epochs,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def row_source(
    dataset: Dataset, memory_share: float, seed: int, windowing: Windowing, device: torch.device = CPU
) -> RowSource:
    """Return the rows of a dataset, on a GPU or in memory if they fit into a share of it, otherwise streamed.

    Args:
        dataset: The rows.
        memory_share: Share of the memory that the rows may use: of the GPU's free memory, or the windows of this one.
        seed: Seed of the order of rows in memory.
        windowing: Conversion of rows to windows.
        device: What trains.
    """
    if DeviceSource.size(dataset) <= memory_share * free_memory(device):
        logger.info("%s: in the memory of the GPU, %.0f MiB", dataset.location.uri, DeviceSource.size(dataset) / 2**20)
        return DeviceSource.load(dataset, seed, windowing, device)
    if device.type == "cpu":
        return _rows_of_host(dataset, memory_share, seed, windowing)
    return CopiedSource(_rows_of_host(dataset, memory_share, seed, windowing, for_gpu=True), device)


def _rows_of_host(
    dataset: Dataset, memory_share: float, seed: int, windowing: Windowing, for_gpu: bool = False
) -> RowSource:
    """Return the rows of a dataset, in memory if their windows fit into a share of it, otherwise streamed."""
    size = dataset.manifest.rows * windowing.steps * len(dataset.channels) * np.dtype(np.float32).itemsize
    allowed = int(memory_share * usable_memory())
    place, uri = "in memory" if size <= allowed else "streamed", dataset.location.uri
    logger.info("%s: %s, %.0f MiB of %.0f MiB allowed", uri, place, size / 2**20, allowed / 2**20)
    if size <= allowed:
        return TensorSource(torch.from_numpy(load_values(dataset, seed, windowing)), for_gpu)
    return StreamingSource(dataset, SHUFFLE_BUFFER_BYTES // (size // dataset.manifest.rows), windowing)


def _world(arguments: TrainingArguments) -> World:
    return World.from_environment() if arguments.run_as_pytorchjob else World()

import logging
import re
import signal
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from container_component_src.backends.local.training import LocalTrainer
from container_component_src.errors import InputError, StepError
from container_component_src.model import recorded_steps, training
from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import open_info
from container_component_src.model.callbacks import EpochHistory
from container_component_src.model.datamodule import TensorSource
from container_component_src.model.device_source import CopiedSource, DeviceSource
from container_component_src.model.streaming import StreamingSource
from container_component_src.model.training import row_source, train
from container_component_src.model.vae import TimeStampVAE
from container_component_src.model.windows import Windowing
from container_component_src.steps.data import ScalerType
from container_component_src.steps.training import TrainingArguments, TrainingJob
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.smoothing import default_max_gap
from tests.model.datasets import CHANNELS, SECOND, make_values, write_dataset

TIMES = SECOND * np.arange(200, dtype=np.int64)


def make_arguments(folder: Path, **changes: object) -> TrainingArguments:
    """Return arguments for tiny datasets, which are written if they do not exist."""
    for name, rows, seed in (("train", 300, 1), ("val", 200, 2)):
        if not (folder / name).exists():
            write_dataset(folder / name, make_values(rows, seed))
    values: dict[str, object] = {
        "train_df_path": str(folder / "train"),
        "val_df_path": str(folder / "val"),
        "model_output_file": str(folder / "bundle"),
        "batch_size": 50,
        "latent_dim": 2,
        "hidden_dims": (8, 4),
        "lr": 0.01,
        "max_epochs": 2,
        "min_epoch_steps": 1,
        "window_steps": 1,
    }
    return TrainingArguments.model_validate(values | changes)


@pytest.mark.parametrize("window_steps", [1, 3])
def test_training_writes_a_bundle(tmp_path: Path, window_steps: int) -> None:
    arguments = make_arguments(tmp_path, seed=11, window_steps=window_steps)
    summary = train(arguments)
    bundle = Bundle.load(arguments.model_output_file)
    info = bundle.info
    assert info.training == summary
    assert (info.channels, info.scaler, info.seed) == (CHANNELS, None, 11)
    assert (summary.train_rows, summary.val_rows, summary.epochs) == (300, 200, 2)
    assert summary.hyperparameters == arguments.hyperparameters
    assert set(info.channel_statistics) == set(CHANNELS)
    assert (info.calibration, info.max_gap_ns) == (None, default_max_gap(TIMES))
    assert info.architecture.window_steps == window_steps


def test_metrics_are_printed_in_the_format_of_katib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "progress")
    summary = train(make_arguments(tmp_path))
    told = [record.message for record in caplog.records if record.name == "progress"]
    losses = [f"{epoch.val_loss:.6g}" for epoch in summary.history]
    assert re.fullmatch(rf"epoch 1/2, at most \d+ s left, val_loss {losses[0]}", told[0])
    assert told[1:] == [f"epoch 2/2, val_loss {losses[1]}"]
    assert not any("=" in line for line in told)  # Katib would take it for a metric
    lines = capsys.readouterr().out.splitlines()
    katib = re.compile(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)")
    found = [(line.split(" ", 1)[0], *match.group(1, 2)) for line in lines for match in katib.finditer(line)]
    assert [datetime.fromisoformat(time).tzinfo is not None for time, _, _ in found] == [True] * 4
    assert [(name, round(float(value), 4)) for _, name, value in found] == [
        (name, round(value, 4))
        for epoch in summary.history
        for name, value in (("train_loss", epoch.train_loss), ("val_loss", epoch.val_loss))
    ]


def test_training_is_reproducible(tmp_path: Path) -> None:
    arguments = make_arguments(tmp_path)
    summaries, weights = [], []
    for _ in range(2):
        summaries.append(train(arguments))
        weights.append(Bundle.load(arguments.model_output_file).model.state_dict())
    assert summaries[0] == summaries[1]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=0, atol=0)
    train(make_arguments(tmp_path, seed=43))
    other = Bundle.load(arguments.model_output_file).model.state_dict()
    assert not torch.equal(other["log_variance"], weights[0]["log_variance"])


def test_bundle_has_the_weights_of_the_best_epoch(tmp_path: Path) -> None:
    """Few rows and a high learning rate: the validation loss rises before the training ends."""
    write_dataset(tmp_path / "train", make_values(30, seed=1))
    arguments = make_arguments(
        tmp_path, batch_size=10, hidden_dims=(64, 32), lr=0.02, max_epochs=40, early_stopping_patience=4
    )
    summary = train(arguments)
    losses = [epoch.val_loss for epoch in summary.history]
    assert summary.best_epoch == int(np.argmin(losses)) == len(losses) - 1 - 4
    model = Bundle.load(arguments.model_output_file).model
    with torch.no_grad():
        val_loss = model.validation_loss(torch.from_numpy(make_values(200, seed=2))).numpy()
    assert np.median(val_loss) == pytest.approx(min(losses), rel=1e-6)


def test_val_loss_does_not_depend_on_beta(tmp_path: Path) -> None:
    """A tiny beta lowers the training loss, but not the validation loss that trials are compared by."""
    last = {}
    for beta in (0.001, 1.0):
        arguments = make_arguments(tmp_path, beta=beta, max_epochs=20, early_stopping_patience=20)
        last[beta] = train(arguments).history[-1]
    assert last[0.001].train_loss < last[1.0].train_loss
    assert last[0.001].val_loss > last[1.0].val_loss


def test_bundle_has_the_scaler_of_the_data(tmp_path: Path) -> None:
    scaler = Scaler(type=ScalerType.STANDARD, channels=CHANNELS, centre=(1.0,) * 5, scale=(2.0,) * 5)
    for name, rows in (("train", 300), ("val", 200)):
        write_dataset(tmp_path / name, make_values(rows, seed=1), scaler=scaler, labelled=True)
    arguments = make_arguments(tmp_path, max_epochs=1)
    train(arguments)
    info = Bundle.load(arguments.model_output_file).info
    assert info.scaler == scaler


@pytest.mark.parametrize("memory_share", [0.25, 1e-9], ids=["in memory", "streamed"])
def test_the_network_does_not_see_constant_channels(tmp_path: Path, memory_share: float) -> None:
    names, ones = ("valve", *CHANNELS), (1.0,) * 6
    scaler = Scaler(type=ScalerType.STANDARD, channels=names, centre=ones, scale=ones, constant=("valve",))
    for name, rows, seed, departure in (("train", 300, 1, 0.0), ("val", 200, 2, 9.0)):
        values = make_values(rows, seed)
        write_dataset(tmp_path / "without" / name, values, scaler=None)
        write_dataset(tmp_path / "with" / name, np.insert(values, 0, departure, axis=1), names, scaler)
    for folder in ("with", "without"):
        train(make_arguments(tmp_path / folder, memory_share=memory_share))
    with_valve, without = (Bundle.load(str(tmp_path / folder / "bundle")) for folder in ("with", "without"))
    for name, weights in without.model.state_dict().items():
        torch.testing.assert_close(with_valve.model.state_dict()[name], weights, rtol=0, atol=0)
    assert with_valve.info.channels == names
    assert with_valve.info.constant_spreads == {"valve": 9.0}
    assert set(with_valve.info.channel_statistics) == set(names)


def test_different_channels(tmp_path: Path) -> None:
    write_dataset(tmp_path / "val", make_values(200, seed=2), channels=(*CHANNELS[:4], "noise"))
    with pytest.raises(InputError, match=r"val: channels differ from those of .*train: it lacks 'humidity'"):
        train(make_arguments(tmp_path))


def test_different_scalers(tmp_path: Path) -> None:
    scaler = Scaler(type=ScalerType.STANDARD, channels=CHANNELS, centre=(1.0,) * 5, scale=(2.0,) * 5)
    write_dataset(tmp_path / "val", make_values(200, seed=2), scaler=scaler)
    with pytest.raises(InputError, match=r"val: the scaler is not that of .*train"):
        train(make_arguments(tmp_path))


def test_fewer_rows_than_the_nodes_need(tmp_path: Path) -> None:
    write_dataset(tmp_path / "train", make_values(7, seed=1))
    with pytest.raises(InputError, match=r"train: 7 rows are too few for 4 nodes; lower --num-gpu-nodes"):
        train(make_arguments(tmp_path, num_gpu_nodes=4))


def test_batch_may_be_larger_than_the_training_set(tmp_path: Path) -> None:
    assert train(make_arguments(tmp_path, batch_size=1024, max_epochs=1)).epochs == 1


@pytest.mark.parametrize("detector", ["forecaster", "ensemble", "auto"])
def test_other_detectors_are_trained_and_saved(tmp_path: Path, detector: str) -> None:
    arguments = make_arguments(tmp_path, detector=detector, window_steps=3, max_epochs=3)
    summary = train(arguments)
    bundle = Bundle.load(arguments.model_output_file)
    kept = bundle.info.architecture.detector
    assert kept in ({"vae", "forecaster", "ensemble"} if detector == "auto" else {detector})
    assert set(summary.candidates) == ({"vae", "forecaster", "ensemble"} if detector == "auto" else set())
    if detector == "auto":
        assert summary.candidates[kept] == max(summary.candidates.values())
    assert (summary.active_latents is None) == (detector == "forecaster")
    assert np.isfinite(bundle.scorer.contributions(make_values(200, seed=2), TIMES)).all()


def test_detectors_that_predict_need_an_earlier_time_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="window_steps 1 has no earlier time step, from which --detector forecaster"):
        make_arguments(tmp_path, detector="forecaster", window_steps=1)


def test_rare_states_of_the_validation_set_do_not_end_the_training(tmp_path: Path) -> None:
    """The mean loss is that of one far row and rises after two epochs; the other rows improve to the end."""
    values = make_values(200, seed=2)
    values[7] = [300.0, -300.0, 300.0, -300.0, 300.0]
    write_dataset(tmp_path / "val", values)
    arguments = make_arguments(tmp_path, max_epochs=6, early_stopping_patience=2, min_epoch_steps=24)
    means: list[float] = []
    losses_of = TimeStampVAE.validation_loss

    def recorded(model: TimeStampVAE, rows: torch.Tensor) -> torch.Tensor:
        losses = losses_of(model, rows)
        means.append(float(losses.mean()))
        return losses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimeStampVAE, "validation_loss", recorded)
        summary = train(arguments)
    assert int(np.argmin(means)) <= 1  # three epochs later a training would have ended
    assert summary.best_epoch >= 4


def test_active_latents_are_counted_logged_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    trained = train(make_arguments(tmp_path, max_epochs=4, min_epoch_steps=60))
    assert trained.active_latents == 2
    assert "2 of 2 latents are active" in caplog.text
    assert "only" not in caplog.text
    info = open_info(str(tmp_path / "bundle"))
    assert info.training.active_latents == info.metadata()["active_latents"] == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimeStampVAE, "active_latents", lambda *_: 0)
        assert train(make_arguments(tmp_path, max_epochs=1)).active_latents == 0
    assert "only 0 of 2 latents are active" in caplog.text


def test_distributed_run_needs_the_variables_of_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(InputError, match=r"environment variable .* is missing"):
        train(make_arguments(tmp_path, run_as_pytorchjob=True))


def test_sigterm_ends_a_training_as_any_other_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outside(*_: object) -> None:
        pass

    during = []

    def look(*_: object) -> None:
        during.append(signal.getsignal(signal.SIGTERM))

    monkeypatch.setattr(EpochHistory, "on_validation_end", look, raising=False)
    before = signal.signal(signal.SIGTERM, outside)
    try:
        train(make_arguments(tmp_path, max_epochs=1))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert during == [outside]


def test_diverging_training_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(tmp_path / "train", 1e30 * make_values(300, seed=1))
    with pytest.raises(StepError, match="train_loss is not a finite number"):
        train(make_arguments(tmp_path))
    assert "=" not in capsys.readouterr().out
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_streamed_rows_give_an_equally_good_model(tmp_path: Path, nodes: int) -> None:
    """The order of rows differs, so the weights do; the losses are about equal."""
    in_memory = train(make_arguments(tmp_path, max_epochs=6, window_steps=nodes))
    arguments = make_arguments(tmp_path, max_epochs=6, window_steps=nodes, memory_share=0.0, num_gpu_nodes=nodes)
    if nodes == 1:
        train(arguments)
    else:
        LocalTrainer().train(TrainingJob(arguments=arguments))
    streamed = Bundle.load(arguments.model_output_file).info.training
    assert streamed.train_rows == in_memory.train_rows
    assert streamed.val_loss == pytest.approx(in_memory.val_loss, rel=0.15)
    assert streamed.val_loss < streamed.history[0].val_loss


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("detector", "window_steps", "tolerance"), [("vae", 1, 0.05), ("vae", 3, 0.05), ("forecaster", 3, 1e-3)]
)
@pytest.mark.parametrize("memory_share", [0.0, 0.5])
def test_gpu_trains_an_equally_good_model(
    detector: str,
    window_steps: int,
    tolerance: float,
    memory_share: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The random numbers of a VAE differ from those of the CPU, so its losses are about equal; a forecaster has none.

    All epochs are taken, because a small difference can change which one ends a training.
    """
    changes = {"detector": detector, "window_steps": window_steps, "memory_share": memory_share}
    arguments = make_arguments(tmp_path, max_epochs=6, early_stopping_patience=6, min_epoch_steps=50, **changes)
    on_gpu = [train(arguments) for _ in range(2)]
    assert on_gpu[0] == on_gpu[1]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = train(arguments)
    assert on_gpu[0].active_latents == on_cpu.active_latents
    assert on_gpu[0].val_loss == pytest.approx(on_cpu.val_loss, rel=tolerance)


@pytest.mark.gpu
def test_recorded_steps_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = make_arguments(tmp_path, max_epochs=4, min_epoch_steps=70, batch_size=47)  # of two sizes
    recorded = train(arguments)
    weights = Bundle.load(arguments.model_output_file).model.state_dict()
    monkeypatch.setattr(recorded_steps, "WARM_UP_STEPS", -1)  # nothing is recorded
    assert [epoch.val_loss for epoch in train(arguments).history] == pytest.approx(
        [epoch.val_loss for epoch in recorded.history], rel=1e-4
    )
    for name, tensor in Bundle.load(arguments.model_output_file).model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
def test_diverging_training_fails_on_a_gpu(tmp_path: Path) -> None:
    write_dataset(tmp_path / "train", 1e30 * make_values(300, seed=1))
    with pytest.raises(StepError, match="train_loss is not a finite number"):
        train(make_arguments(tmp_path))


def test_rows_lie_on_the_gpu_if_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.open(write_dataset(tmp_path / "data", make_values(100, seed=1)))
    gpu = torch.device("meta")  # has no memory, and takes everything
    monkeypatch.setattr(training, "free_memory", lambda device: 2 * DeviceSource.size(dataset))
    assert isinstance(row_source(dataset, 0.5, 0, Windowing(2), gpu), DeviceSource)
    copied = row_source(dataset, 0.49, 0, Windowing(2), gpu)
    assert isinstance(copied, CopiedSource)
    assert isinstance(copied.source, TensorSource)
    monkeypatch.setattr(training, "usable_memory", lambda: 1)
    copied = row_source(dataset, 0.49, 0, Windowing(2), gpu)
    assert isinstance(copied, CopiedSource)
    assert isinstance(copied.source, StreamingSource)


def test_large_datasets_are_streamed(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path / "data", make_values(100, seed=1)))
    assert isinstance(row_source(dataset, 0.5, 0, Windowing(2)), TensorSource)
    streamed = row_source(dataset, 0.0, 0, Windowing(2))
    assert isinstance(streamed, StreamingSource)
    assert streamed.buffer_rows == training.SHUFFLE_BUFFER_BYTES // (2 * len(CHANNELS) * 4)

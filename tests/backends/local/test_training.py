import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from container_component_src.backends.base import get_backend
from container_component_src.backends.local import processes, training
from container_component_src.backends.local.training import LocalTrainer, absolute, operator_environment
from container_component_src.errors import InputError, StepError
from container_component_src.model.bundle import Bundle
from container_component_src.model.training import train
from container_component_src.steps.training import TrainingArguments, TrainingJob
from tests.model.datasets import make_values, write_dataset

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def arguments(tmp_path: Path) -> TrainingArguments:
    return TrainingArguments(
        train_df_path=write_dataset(tmp_path / "train", make_values(300, seed=1)),
        val_df_path=write_dataset(tmp_path / "val", make_values(200, seed=2)),
        model_output_file=str(tmp_path / "bundle"),
        batch_size=50,
        latent_dim=2,
        hidden_dims=(8, 4),
        lr=0.01,
        max_epochs=2,
        min_epoch_steps=1,
        num_gpu_nodes=2,
    )


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a few lines of Python in the place of the training program; RANK and its own process id are at hand."""

    def replace(text: str) -> None:
        preamble = "import os, sys, time; RANK = os.environ['RANK']\n"
        monkeypatch.setattr(training, "training_command", lambda arguments: ["python", "-c", preamble + text])

    return replace


@pytest.mark.slow
def test_two_nodes_train_the_same_model_as_one(
    arguments: TrainingArguments, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Equal steps but for the latent samples: the losses are close, the shapes the same; and a repetition is equal."""
    get_backend("local").trainer.train(TrainingJob(arguments=arguments))
    lines = capsys.readouterr().out.splitlines()
    assert sum("val_loss=" in line for line in lines) == 2
    distributed = Bundle.load(arguments.model_output_file)
    assert distributed.info.training.nodes == 2
    get_backend("local").trainer.train(TrainingJob(arguments=arguments))
    repeated = Bundle.load(arguments.model_output_file)
    train(arguments.model_copy(update={"model_output_file": str(tmp_path / "single")}))
    single = Bundle.load(str(tmp_path / "single"))

    assert repeated.info.training == distributed.info.training
    weights = distributed.model.state_dict()
    for name, tensor in single.model.state_dict().items():
        assert weights[name].shape == tensor.shape
        torch.testing.assert_close(repeated.model.state_dict()[name], weights[name], rtol=0, atol=0)
    for epoch, other in zip(single.info.training.history, distributed.info.training.history, strict=True):
        assert other.val_loss == pytest.approx(epoch.val_loss, rel=0.02)


@pytest.mark.slow
def test_bad_input_is_reported_by_the_processes(arguments: TrainingArguments) -> None:
    bad = arguments.model_copy(update={"val_df_path": "nowhere", "num_gpu_nodes": 1})
    with pytest.raises(InputError, match=r"rank \d of the training ended with code 2: error: .*no such dataset"):
        get_backend("local").trainer.train(TrainingJob(arguments=bad))


def test_the_processes_have_the_environment_of_the_operator(
    arguments: TrainingArguments, program: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    port = 4711
    expected = operator_environment(0, 2, port)
    program(
        f"for name in {sorted(expected)!r}: print(name, os.environ[name], flush=True)\n"
        "assert os.getcwd() == " + repr(str(ROOT))
    )
    LocalTrainer().train(TrainingJob(arguments=arguments))
    shown = dict(line.split(" ") for line in capfd.readouterr().out.splitlines())
    ports = {shown.pop("MASTER_PORT"), shown.pop("PET_MASTER_PORT")}
    assert len(ports) == 1
    assert shown == {name: value for name, value in expected.items() if value != str(port)}
    assert {name: value for name, value in operator_environment(1, 2, port).items() if value != expected[name]} == {
        "RANK": "1",
        "PET_NODE_RANK": "1",
    }


@pytest.mark.parametrize(("nodes", "threads"), [(1, None), (2, "3"), (4, "1")])
def test_several_processes_share_the_cores(
    arguments: TrainingArguments,
    program: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    nodes: int,
    threads: str | None,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(processes, "usable_cores", lambda: 7)
    program(f"assert os.environ.get('OMP_NUM_THREADS') == {threads!r}")
    LocalTrainer().train(TrainingJob(arguments=arguments.model_copy(update={"num_gpu_nodes": nodes})))


def test_a_failing_process_ends_the_others(
    arguments: TrainingArguments, program: Callable[[str], None], tmp_path: Path
) -> None:
    """Rank 1 fails; rank 0 hangs and is deaf to SIGTERM, as one that waits for its peers may be."""
    program(
        f"open({str(tmp_path)!r} + '/' + RANK, 'w').write(str(os.getpid()))\n"
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"while not os.path.exists({str(tmp_path / '0')!r}): time.sleep(0.01)\n"
        "if RANK == '1': print('first'); sys.exit('no room for the model')\n"
        "time.sleep(600)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("container_component_src.backends.local.processes.STOP_GRACE", 0.2)
        with pytest.raises(StepError, match=r"rank 1 .* code 1: first \| no room for the model"):
            LocalTrainer().train(TrainingJob(arguments=arguments))
    assert not psutil.pid_exists(int((tmp_path / "0").read_text()))


def test_a_killed_process_fails_the_job(arguments: TrainingArguments, program: Callable[[str], None]) -> None:
    program("os.kill(os.getpid(), 9) if RANK == '0' else time.sleep(600)")
    with pytest.raises(StepError, match="rank 0 of the training ended with code -9: no output"):
        LocalTrainer().train(TrainingJob(arguments=arguments))


def test_the_job_has_a_timeout(arguments: TrainingArguments, program: Callable[[str], None]) -> None:
    program("time.sleep(600)")
    with pytest.raises(StepError, match=r"took longer than 0\.1 s"):
        LocalTrainer().train(TrainingJob(arguments=arguments, timeout=0.1))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "trains"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_no_process_outlives_its_launcher(arguments: TrainingArguments, number: signal.Signals, trains: bool) -> None:
    """It is told to stop while its processes train, or while they start."""
    options = [
        f"--{name.replace('_', '-')}={getattr(arguments, name)}"
        for name in ("train_df_path", "val_df_path", "model_output_file", "num_gpu_nodes")
    ]
    command = [sys.executable, "container_component_src/main.py", "run_pytorchjob", *options]
    endless = ["--max-epochs=1000000", "--early-stopping-patience=1000000", "--hyperparameters", '{"batch_size": 64}']
    with subprocess.Popen([*command, *endless], cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        while trains and "val_loss=" not in launcher.stdout.readline():
            assert launcher.poll() is None
        while len(ranks := psutil.Process(launcher.pid).children(recursive=True)) < 2:
            assert launcher.poll() is None
            time.sleep(0.02)
        reader = threading.Thread(target=launcher.stdout.read)
        reader.start()
        launcher.send_signal(number)
        assert launcher.wait(300) != 0
        reader.join(300)
    assert len(ranks) == 2
    _, alive = psutil.wait_procs(ranks, timeout=60)
    assert alive == []


def test_relative_paths_count_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = absolute(TrainingArguments(train_df_path="a", val_df_path="s3://bucket/b", model_output_file="c/d"))
    paths = (found.train_df_path, found.val_df_path, found.model_output_file)
    assert paths == (str(tmp_path / "a"), "s3://bucket/b", str(tmp_path / "c/d"))

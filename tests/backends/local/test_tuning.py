import logging
import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from container_component_src.backends.local.tuning import LocalTuner, TrialCommand
from container_component_src.errors import InputError, StepError
from container_component_src.steps.training import TrainingArguments
from container_component_src.steps.tuning import Experiment, SearchSpace
from container_component_src.tuning.experiment import TrialState, TuningResult
from container_component_src.values import validated
from tests.programs import is_running

SPACE = SearchSpace.model_validate(
    {"latent_dims": [4, 8, 16], "hidden_dims": ["16,8"], "betas": [1.0], "lrs": [1e-3, 1e-2], "batch_sizes": [32]}
)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where scratch folders are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        **dict(SPACE), "algorithm": "random", "max_trials": 4, "parallel_trials": 2, "max_failed_trials": 0,
        "train_df_path": "train", "val_df_path": "val", "max_epochs": 2, "early_stopping_patience": 1, "seed": 5,
        "trial_timeout": 60.0,
    }  # fmt: skip
    return validated(Experiment, values | changes)


def program(body: str) -> TrialCommand:
    """A trial command that runs Python code; `a` there are the arguments of the trial."""

    def command(arguments: TrainingArguments) -> list[str]:
        values = arguments.model_dump(mode="json")
        return ["python", "-c", f"from types import SimpleNamespace as N\na = N(**{values!r})\n{body}"]

    return command


def without_times(result: TuningResult) -> list[dict[str, Any]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in result.trials]


REPORT = "print(f'2026-01-01T00:00:00Z val_loss={a.latent_dim * a.lr + 1}', f'val_loss={a.latent_dim * a.lr}')"


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_the_outcome_does_not_depend_on_which_trial_ends_first(algorithm: str) -> None:
    wait = "import time; time.sleep(0.2 if a.latent_dim {} 8 else 0)\n"
    results = [LocalTuner(program(wait.format(sign) + REPORT)).tune(experiment(algorithm=algorithm)) for sign in "<>"]
    assert without_times(results[0]) == without_times(results[1])
    assert [trial.number for trial in results[0].trials] == [0, 1, 2, 3]
    best = results[0].best
    assert best.objective == min(
        trial.hyperparameters.latent_dim * trial.hyperparameters.lr for trial in results[0].trials
    )
    assert best.epochs == 2


def test_a_grid_runs_every_point_once(scratch: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result = LocalTuner(program(REPORT)).tune(experiment(algorithm="grid", max_trials=99, parallel_trials=4))
    assert [trial.hyperparameters for trial in result.trials] == [SPACE.point(index) for index in range(6)]
    assert (result.best.hyperparameters.latent_dim, result.best.hyperparameters.lr) == (4, 1e-3)
    assert not list(scratch.iterdir())
    told = [record.message for record in caplog.records if record.name == "progress"]
    assert told[0] == "trial 0/6"
    assert re.fullmatch(r"trial 4/6, about \d+ s left, best val_loss 0\.004", told[4])
    assert told[6:] == ["trial 6/6, best val_loss 0.004"]


def test_trials_get_arguments_a_share_of_the_cores_and_a_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("container_component_src.backends.local.processes.usable_cores", lambda: 7)
    body = """
import os, tempfile
from pathlib import Path
bundle = Path(a.model_output_file)
assert bundle.parent == Path(tempfile.gettempdir()) and bundle.parent.is_dir() and not bundle.exists()
assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "3"
assert (a.train_df_path, a.val_df_path) == ({!r}, "s3://bucket/val"), a
assert (a.seed, a.max_epochs) == (5, 2)
print("val_loss=1")
"""
    changes = {"train_df_path": "train", "val_df_path": "minio://bucket/val", "max_trials": 2}
    result = LocalTuner(program(body.format(str(tmp_path / "train")))).tune(experiment(**changes))
    assert [trial.failure for trial in result.trials] == ["", ""]


def test_some_trials_may_fail() -> None:
    body = f"if a.latent_dim == 8: raise SystemExit('error: too deep')\n{REPORT}"
    result = LocalTuner(program(body)).tune(experiment(algorithm="grid", max_trials=6, max_failed_trials=2))
    assert [trial.state.value for trial in result.trials] == ["succeeded"] * 2 + ["failed"] * 2 + ["succeeded"] * 2
    assert [trial.objective is None for trial in result.trials] == [False] * 2 + [True] * 2 + [False] * 2
    assert result.trials[2].failure == "exit code 1"


def test_too_many_failed_trials_end_the_experiment(
    scratch: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note = f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"
    body = f"{note}; print('line one'); raise SystemExit('error: no rows; add some')"
    with pytest.raises(StepError, match=r"2 of 2 trials failed .* exit code 1: line one \| error: no rows; add some"):
        LocalTuner(program(body)).tune(experiment(max_trials=6, max_failed_trials=1))
    assert (tmp_path / "ran").read_text() == "xx"
    assert not list(scratch.iterdir())
    assert caplog.text.count("line one") == 2


def test_an_experiment_without_successful_trials_fails() -> None:
    with pytest.raises(StepError, match=r"4 of 4 trials failed .*no val_loss=<number> in the output: val_loss=nan"):
        LocalTuner(program("print('val_loss=nan')")).tune(experiment(max_failed_trials=99))


def test_the_objective_of_a_failed_trial_is_ignored() -> None:
    body = "print(f'val_loss={a.lr}', flush=True)\nif a.lr < 0.005: raise SystemExit(3)"
    result = LocalTuner(program(body)).tune(experiment(algorithm="grid", max_trials=2, max_failed_trials=1))
    assert [trial.state.value for trial in result.trials] == ["failed", "succeeded"]
    assert result.best.objective == 0.01


@pytest.mark.slow
def test_a_trial_over_its_timeout_is_stopped_with_its_child_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("container_component_src.backends.local.processes.STOP_GRACE", 0.1)
    body = f"""
import signal, subprocess, sys, time
if a.lr < 0.005:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
    print("val_loss=0")
    time.sleep(600)
print("val_loss=1")
"""
    result = LocalTuner(program(body)).tune(
        experiment(algorithm="grid", max_trials=2, max_failed_trials=1, trial_timeout=3)
    )
    assert [trial.state for trial in result.trials] == [TrialState.TIMEOUT, TrialState.SUCCEEDED]
    assert result.trials[0].objective is None
    assert result.trials[0].seconds == 3
    assert not is_running(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_leaves_nothing_behind(
    interrupt: type[BaseException], scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_procs = psutil.wait_procs

    def interrupted(processes: list[psutil.Popen], timeout: float, callback: object) -> None:
        while not all((tmp_path / f"started-{process.pid}").exists() for process in processes):
            time.sleep(0.01)
        monkeypatch.setattr(psutil, "wait_procs", wait_procs)
        raise interrupt

    body = f"import os, time; open({str(tmp_path / 'started-')!r} + str(os.getpid()), 'w'); time.sleep(600)"
    monkeypatch.setattr(psutil, "wait_procs", interrupted)
    with pytest.raises(interrupt):
        LocalTuner(program(body)).tune(experiment())
    started = [int(path.name.split("-")[1]) for path in tmp_path.glob("started-*")]
    assert len(started) == 2
    assert not any(is_running(pid) for pid in started)
    assert not list(scratch.iterdir())


def test_options_that_only_katib_offers_are_refused() -> None:
    with pytest.raises(InputError, match="use none with --backend local"):
        LocalTuner(program(REPORT)).tune(experiment(trial_early_stopping="medianstop"))

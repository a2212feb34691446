import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from container_component_src.model.bundle import Bundle
from container_component_src.telemetry.dataset_writer import DatasetWriter
from tests.helpers import Invoke, assert_refused
from tests.model.datasets import CHANNELS, make_values, write_dataset

ROOT = Path(__file__).resolve().parents[2]
METRIC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (train|val)_loss=-?\d+(\.\d+)?(e[+-]\d+)?")


def options(folder: Path, **changes: str) -> list[str]:
    """Exactly the options that every launcher gives."""
    for name, rows, seed in (("train", 300, 1), ("val", 200, 2)):
        if not (folder / name).exists():
            write_dataset(folder / name, make_values(rows, seed))
    values = {
        "train_df_path": str(folder / "train"), "val_df_path": str(folder / "val"), "seed": "7", "batch_size": "50.0",
        "latent_dim": "2", "hidden_dims": "8,4", "beta": "1.0", "lr": "1e-02", "early_stopping_patience": "3",
        "max_epochs": "2", "min_epoch_steps": "1", "num_gpu_nodes": "1", "run_as_pytorchjob": "false",
        "model_output_file": str(folder / "bundle"),
    }  # fmt: skip
    return [part for name, value in (values | changes).items() for part in (f"--{name.replace('_', '-')}", value)]


@pytest.mark.slow
def test_training_with_the_options_of_every_launcher(tmp_path: Path) -> None:
    program = [sys.executable, "container_component_src/main.py", "run_training", *options(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    metrics = [line for line in done.stdout.splitlines() if METRIC.fullmatch(line)]
    assert [("train_loss=" in line, "val_loss=" in line) for line in metrics] == [(True, False), (False, True)] * 2
    assert sum("_loss=" in line for line in done.stdout.splitlines()) == 4  # nothing else that a collector would take
    assert Bundle.load(str(tmp_path / "bundle")).info.channels == CHANNELS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_gpu_nodes": "200", "batch_size": "500"}, "300 rows are too few for 200 nodes"),
        ({"latent_dim": "100000000"}, "latent_dim 100000000"),
        ({"hidden_dims": "1000000,1000000"}, "needs at least 29,8"),
        ({"window_steps": "100000"}, "Invalid value for '--window-steps'"),
        ({"window_steps": "10000", "hidden_dims": "200000,8"}, "window_steps 10000 and "),
        ({"train_df_path": "nowhere/at/all"}, "no such dataset"),
        ({"hidden_dims": "8"}, "does not name two layer sizes"),
        ({"lr": "-1"}, "Invalid value for '--lr'"),
        ({"run_as_pytorchjob": "true"}, "environment variable"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, change: dict[str, str], message: str, invoke: Invoke
) -> None:
    done = invoke("run_training", *options(tmp_path, **change))
    assert_refused(done, message)
    assert "_loss=" not in done.stdout
    assert not (tmp_path / "bundle").exists()


def test_a_diverging_training_is_exit_code_1_without_metrics(tmp_path: Path, invoke: Invoke) -> None:
    write_dataset(tmp_path / "train", 1e30 * make_values(300, seed=1))
    done = invoke("run_training", *options(tmp_path))
    assert done.code == 1
    assert re.fullmatch(r"error: train_loss is not a finite number: .*\n", done.stderr)
    assert "_loss=" not in done.stdout


def test_an_unfinished_dataset_is_refused(tmp_path: Path, invoke: Invoke) -> None:
    with DatasetWriter(str(tmp_path / "train"), "normalizedTime", CHANNELS) as writer:
        (tmp_path / "train").mkdir()
        done = invoke("run_training", *options(tmp_path))
        assert writer.location.path == str(tmp_path / "train")
    assert_refused(done, "unfinished dataset")


@pytest.mark.slow
def test_the_job_publishes_its_model(tmp_path: Path, invoke: Invoke) -> None:
    given = options(tmp_path)
    paths = [*given[:4], *given[-2:]]
    artifact = {
        "name": "model",
        "type": {"schemaTitle": "system.Model"},
        "uri": str(tmp_path / "bundle"),
        "metadata": {},
    }
    outputs = {
        "artifacts": {"model": {"artifacts": [artifact]}},
        "parameters": {"model_uri": {"outputFile": str(tmp_path / "model_uri")}},
        "outputFile": str(tmp_path / "output.json"),
    }
    chosen = {"latent_dim": 2.0, "hidden_dims": "8,4", "beta": 1.0, "lr": 0.01, "batch_size": 50.0}
    done = invoke(
        "run_pytorchjob", *paths, "--hyperparameters", json.dumps(chosen), "--max-epochs", "2.0",
        "--min-epoch-steps", "1",
        "--executor-input", json.dumps({"outputs": outputs}),
    )  # fmt: skip
    assert (done.code, done.stderr) == (0, "")
    assert (tmp_path / "model_uri").read_text() == str(tmp_path / "bundle")
    published = json.loads((tmp_path / "output.json").read_text())["artifacts"]["model"]["artifacts"][0]
    info = Bundle.load(str(tmp_path / "bundle")).info
    assert published == {**artifact, "metadata": info.metadata()}
    assert published["metadata"]["hidden_dims"] == [8, 4]
    assert published["metadata"]["val_loss"] == info.training.val_loss


@pytest.mark.slow
def test_with_a_data_root_the_job_trains_there(tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """The artifact in the pipeline's own store has metadata alone, as that of a dataset has."""
    given, artifact = options(tmp_path), {"name": "model", "uri": "minio://mlpipeline/model"}
    outputs = {
        "artifacts": {"model": {"artifacts": [artifact]}},
        "parameters": {"model_uri": {"outputFile": str(tmp_path / "model_uri")}},
        "outputFile": str(tmp_path / "output.json"),
    }
    monkeypatch.setenv("PIPELINE_RUN_ID", "run-1")
    done = invoke(
        *("run_pytorchjob", *given[:4], "--model-output-file", artifact["uri"], "--max-epochs", "1"),
        *("--min-epoch-steps", "1", "--data-root", str(tmp_path / "root")),
        *("--executor-input", json.dumps({"outputs": outputs})),
        *("--hyperparameters", '{"hidden_dims": "8,4", "batch_size": 50}'),
    )
    assert (done.code, done.stderr) == (0, "")
    model = tmp_path / "root" / "run-1" / "run_pytorchjob" / "model"
    assert (tmp_path / "model_uri").read_text() == str(model)
    (published,) = json.loads((tmp_path / "output.json").read_text())["artifacts"]["model"]["artifacts"]
    assert published == {**artifact, "metadata": {**Bundle.load(str(model)).info.metadata(), "data_uri": str(model)}}


def test_a_job_with_unknown_hyperparameters_is_refused(tmp_path: Path, invoke: Invoke) -> None:
    given = options(tmp_path)
    done = invoke("run_pytorchjob", *given[:4], *given[-2:], "--hyperparameters", '{"momentum": 0.9}')
    assert_refused(done, "'--hyperparameters'", "key 'momentum' is not a known key; remove or rename it")

"""The launcher of the final training refuses what no node could train."""

import json
from pathlib import Path

import numpy as np

from tests.helpers import Invoke, assert_refused, write_dataset


def test_sizes_beyond_the_memory_start_no_training(invoke: Invoke, tmp_path: Path) -> None:
    for name in ("train", "val"):
        write_dataset(tmp_path / name, np.zeros((4, 2)))
    command: list[object] = [
        *("run_pytorchjob", "--train-df-path", tmp_path / "train", "--val-df-path", tmp_path / "val"),
        *("--model-output-file", tmp_path / "model", "--num-gpu-nodes", 2),
        *("--hyperparameters", json.dumps({"latent_dim": 9_999_999})),
    ]
    assert_refused(invoke(*command, "--memory", "1Gi", "--backend", "kubernetes", "--image", "i"), "memory 1Gi")
    command[-1] = json.dumps({"latent_dim": 10**9})
    assert_refused(invoke(*command), "latent_dim 1000000000", "2 channels", "in 2 processes", "this machine")
    assert not (tmp_path / "model").exists()

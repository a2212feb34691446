import math

import pytest
import torch
from click.testing import CliRunner

from benchmarks import gpu_loops
from benchmarks.gpu import gpu
from benchmarks.gpu_loops import measure
from container_component_src.model.hardware import CPU


def test_without_a_gpu_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(gpu)
    assert (result.exit_code, result.output) == (0, "there is no GPU, so nothing is measured\n")


def test_training_and_scoring_are_measured_beside_bare_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_loops, "CHANNELS", 4)
    found = {detail.name: detail.value for detail in measure(CPU, rows=600, batch_sizes=[256], seconds=0.0)}
    training = "batches of 256, training, rows on the GPU"
    assert math.isnan(found.pop(f"{training}, GPU used"))
    assert math.isnan(found.pop("scoring, GPU used"))
    assert all(value > 0 for value in found.values())
    assert found[f"{training}, by bare loop"] == found[training] / found["batches of 256, bare loop"]
    assert found["scoring, by bare loop"] == found["scoring, rows in memory"] / found["scoring, bare loop"]

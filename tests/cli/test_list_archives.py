"""The first step refuses what a later one cannot use."""

import json
from pathlib import Path

from tests import data_steps
from tests.helpers import Invoke, assert_refused, report, write_archive, write_reports


def test_sizes_beyond_the_memory_of_the_training_pods_are_refused(invoke: Invoke, tmp_path: Path) -> None:
    write_archive(tmp_path / "archives" / "2023.parquet")
    reports = write_reports(tmp_path / "r.csv", report((60, 90)))
    pods = json.dumps({"memory": "1Gi"})
    given = {"latent_dims": [10_000_000], "backend": "kubernetes", "training_pods": pods}
    command = [*data_steps.list_archives(tmp_path / "archives", reports), "--training-pods", pods, "--executor-input"]
    outcome = invoke(*command, json.dumps({"inputs": {"parameterValues": given}}))
    assert_refused(outcome, "latent_dim 10000000", "a pod (memory 1Gi) has 1.0 GiB")

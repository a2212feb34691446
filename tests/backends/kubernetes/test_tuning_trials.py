"""What the objects and logs of trials say."""

from typing import Any

import pytest

from container_component_src.backends.kubernetes.tuning_trials import finished_trial, split_log, trials_of
from container_component_src.cluster.access import Cluster
from container_component_src.tuning.experiment import TrialState
from tests.cluster.emulator import Emulator

CHOSEN = {"latent_dim": "4", "hidden_dims": "16,8", "beta": "1.0", "lr": "0.001", "batch_size": "32"}
OWNER = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "name": "one", "uid": "uid-1"}
# As Katib 0.19 writes it.
LOG = [
    "I1126 14:22:58.041172      19 main.go:400] Trial Name: one-kp2pfw9b",
    "I1126 14:22:58.041726      19 main.go:143] INFO uid 1000",
    "I1126 14:22:58.041726      19 main.go:143]",
    "I1126 14:23:01.485847      19 main.go:143] error: cannot read s3://data: no such bucket",
    "I1126 14:23:03.083069      19 file-metricscollector.go:181] Objective metric val_loss is not found",
    "I1126 14:23:03.146827      19 main.go:459] Metrics reported. :",
    'metric_logs:{time_stamp:"0001-01-01T00:00:00Z" metric:{name:"val_loss" value:"unavailable"}}',
]
FATAL = "F1126 14:23:03.415685      19 main.go:425] Failed to wait for worker container: no such file"


def trial(**status: Any) -> dict[str, Any]:
    assignments = [{"name": name, "value": value} for name, value in CHOSEN.items()]
    return {"metadata": {"name": "one-a"}, "spec": {"parameterAssignments": assignments}, "status": status}


def test_lines_of_trial_and_collector_are_separated() -> None:
    said = ["INFO uid 1000", "error: cannot read s3://data: no such bucket"]
    assert split_log(LOG) == (said, "")
    assert split_log([*LOG, FATAL]) == (said, "metrics collector: Failed to wait for worker container: no such file")


def test_an_early_stopped_trial_has_a_duration_and_an_objective() -> None:
    stopped = trial(
        startTime="2026-01-01T00:00:00Z",
        conditions=[{"type": "EarlyStopped", "status": "True", "lastTransitionTime": "2026-01-01T00:01:05Z"}],
        observation={"metrics": [{"name": "val_loss", "min": "0.5", "max": "1", "latest": "1"}]},
    )
    found = finished_trial(0, stopped, None)
    assert (found.state, found.seconds, found.objective) == (TrialState.EARLY_STOPPED, 65.0, 0.5)


def test_a_trial_that_is_still_running_counts_as_failed() -> None:
    found = finished_trial(0, trial(conditions=[{"type": "Running", "status": "True"}]), None)
    assert (found.state, found.failure) == (TrialState.FAILED, "had not ended when the experiment did")


@pytest.mark.parametrize("names", [("b", "a", "c"), ("c", "b", "a")])
def test_trials_are_ordered_by_their_start(cluster: Cluster, emulator: Emulator, names: tuple[str, ...]) -> None:
    """Their names are random."""
    for second, name in enumerate(names):
        labels = {"katib.kubeflow.org/experiment": "one"}
        created = {"creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels, "ownerReferences": [OWNER]}
        status = {"startTime": f"2026-01-01T00:00:0{second}Z"}
        emulator.put("Trial", {"metadata": {"name": name, **created}, "spec": {}, "status": status})
    found = trials_of(cluster, {"metadata": {"name": "one", "uid": "uid-1"}})
    assert tuple(trial["metadata"]["name"] for trial in found) == names

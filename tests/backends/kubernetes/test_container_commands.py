"""The containers of trials and training jobs as processes, with what their manifests and the operators give them."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from container_component_src.backends.kubernetes import pytorch_job_manifest, train_job_manifest, tuning_manifest
from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.cluster.step import Step
from container_component_src.model.bundle import Bundle
from container_component_src.processes import PROJECT_ROOT
from container_component_src.steps.training import TrainingJob
from container_component_src.steps.tuning import SearchSpace
from container_component_src.storage import S3_ENVIRONMENT
from container_component_src.tuning.collector import OBJECTIVE, collect, objective
from tests.backends.kubernetes.containers import environment_of
from tests.backends.kubernetes.golden import PODS
from tests.backends.kubernetes.test_pytorch_job_manifest import job
from tests.backends.kubernetes.test_tuning_manifest import experiment
from tests.helpers import write_dataset
from tests.model.datasets import CHANNELS, make_values

DEADLINE = 300  # seconds
STEP = Step("a-run")


@pytest.fixture
def store(bucket: str) -> str:
    """A bucket with training and validation data, as KFP addresses it."""
    write_dataset(f"{bucket}/train", make_values(300, seed=1), CHANNELS, partition_rows=150)
    write_dataset(f"{bucket}/val", make_values(200, seed=2), CHANNELS, partition_rows=100)
    return bucket.replace("s3://", "minio://")


def secret() -> dict[str, str]:
    """What the Secret holds: the way to the test's store."""
    return {name: os.environ[name] for name in S3_ENVIRONMENT if name in os.environ}


def start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a container's command with its own variables and nothing else."""
    path = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    return subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env={**path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def by_training_operator(nodes: int, rank: int, port: int) -> dict[str, str]:
    """What the training operator adds to the pod of a rank; pods have this machine's address here."""
    own = {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port), "WORLD_SIZE": str(nodes), "RANK": str(rank)}
    return {"PYTHONUNBUFFERED": "1", **own, **by_trainer(nodes, rank, port), "PET_NPROC_PER_NODE": "auto"}


def by_trainer(nodes: int, rank: int, port: int) -> dict[str, str]:
    """What Kubeflow Trainer adds to the pod of a rank."""
    return {
        "PET_MASTER_ADDR": LOOPBACK,
        "PET_MASTER_PORT": str(port),
        "PET_NNODES": str(nodes),
        "PET_NODE_RANK": str(rank),
        "PET_NPROC_PER_NODE": "1",
    }


def replicas_of_pytorch_job(wanted: TrainingJob) -> list[dict[str, Any]]:
    """The container of each replica."""
    replicas = pytorch_job_manifest.manifest(STEP, PODS, wanted)["spec"]["pytorchReplicaSpecs"].values()
    return [part["template"]["spec"]["containers"][0] for part in replicas for _ in range(part["replicas"])]


def nodes_of_train_job(wanted: TrainingJob) -> list[dict[str, Any]]:
    """The container of each node."""
    runtime = train_job_manifest.runtime(STEP, PODS, wanted)["spec"]
    (group,) = runtime["template"]["spec"]["replicatedJobs"]
    return [group["template"]["spec"]["template"]["spec"]["containers"][0]] * runtime["mlPolicy"]["numNodes"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nodes", "containers_of", "injected"),
    [
        (1, replicas_of_pytorch_job, by_training_operator),
        (2, replicas_of_pytorch_job, by_training_operator),
        (2, nodes_of_train_job, by_trainer),
    ],
)
def test_the_nodes_of_a_job_write_the_bundle_to_object_storage(
    store: str,
    nodes: int,
    containers_of: Callable[[TrainingJob], list[dict[str, Any]]],
    injected: Callable[[int, int, int], dict[str, str]],
) -> None:
    paths = {"train_df_path": f"{store}/train", "val_df_path": f"{store}/val", "model_output_file": f"{store}/model"}
    small = {"batch_size": 50, "latent_dim": 2, "hidden_dims": (8, 4), "max_epochs": 2, "min_epoch_steps": 1}
    (port,) = free_ports(1)
    processes = [
        start(container["command"], {**environment_of(container, secret()), **injected(nodes, rank, port)})
        for rank, container in enumerate(containers_of(job(nodes, **paths, **small)))
    ]
    outputs = [process.communicate(timeout=DEADLINE)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * nodes, outputs
    assert outputs[0].count("val_loss=") == 2
    bundle = Bundle.load(f"{store}/model")
    assert bundle.info.training.nodes == nodes
    assert bundle.scorer.scores(make_values(4, seed=3)).shape == (4,)


@pytest.mark.slow
def test_a_trial_reports_its_objective_through_katibs_shell(store: str, tmp_path: Path) -> None:
    """Katib puts the chosen values in place, and runs the joined command with its output in a file."""
    space = SearchSpace.model_validate(
        {"latent_dims": [2], "hidden_dims": ["8,4"], "betas": [0.5], "lrs": [0.01], "batch_sizes": [50]}
    )
    manifest = tuning_manifest.manifest(
        STEP,
        PODS,
        experiment(**dict(space), min_epoch_steps=1, train_df_path=f"{store}/train", val_df_path=f"{store}/val"),
    )
    template = manifest["spec"]["trialTemplate"]
    (container,) = template["trialSpec"]["spec"]["template"]["spec"]["containers"]
    command = " ".join(container["command"])
    for item in manifest["spec"]["parameters"]:
        command = command.replace(f"${{trialParameters.{item['name']}}}", item["feasibleSpace"]["list"][0])
    log = tmp_path / "metrics.log"
    environment = {**environment_of(container, secret()), "TMPDIR": str(tmp_path)}
    command = command.replace("/tmp/bundle", str(tmp_path / "bundle"))
    process = start(["sh", "-c", f"{command} 1>{shlex.quote(str(log))} 2>&1"], environment)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output + log.read_text()
    lines = log.read_text().split("\n")
    assert len(collect(lines, OBJECTIVE)) == 2
    assert objective(lines) == min(collect(lines, OBJECTIVE))

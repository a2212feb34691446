"""Fixtures of the tests on a real cluster: access, and data prepared by the steps of one run."""

import uuid
from collections.abc import Iterator

import pytest
from kubernetes import client, config

from container_component_src.cluster.access import Cluster
from tests.cluster.live.data import PREPARE, Commands
from tests.cluster.live.step_pod import Session
from tests.cluster.live.target import Target


@pytest.fixture(scope="session")
def target() -> Target:
    """The cluster that the environment describes; without it, the tests fail and list the missing variables."""
    return Target.from_environment()


@pytest.fixture(scope="session")
def session(target: Target) -> Session:
    """Access to the cluster."""
    config.load_kube_config()
    api = client.ApiClient()
    return Session(target, client.CoreV1Api(api), client.CustomObjectsApi(api))


@pytest.fixture
def run_id(session: Session, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new run, of which nothing may remain at the end of the test; skipped if the cluster does not serve a kind."""
    for kind in (mark.args[0] for mark in request.node.iter_markers("serves")):
        if not Cluster(session.custom.api_client, session.target.namespace).serves(kind):
            pytest.skip(f"the cluster has no {kind.name}")
    run_id = str(uuid.uuid4())
    yield run_id
    session.await_nothing_left(run_id)
    session.core.delete_collection_namespaced_pod(session.target.namespace, label_selector=f"pipeline/runid={run_id}")


@pytest.fixture(scope="session")
def commands(session: Session) -> Commands:
    """Commands of a run whose scaled datasets exist; the Dask step ran on the cluster."""
    run_id = str(uuid.uuid4())
    commands = Commands(session.target, f"{session.target.data_root}/{run_id}")
    program = ["python", "-c", PREPARE, f"{commands.prefix}/example"]
    prepared = session.start_program(run_id, "prepare", program).ended()
    assert prepared.code == 0, prepared.log
    for step in [*map(commands.split, (2022, 2023)), commands.preprocess(), *commands.data_steps()]:
        ended = session.run(run_id, *step)
        assert ended.code == 0, f"{step[0]}: {ended.log}"
    session.await_nothing_left(run_id)
    return commands


@pytest.fixture(scope="session")
def trained(session: Session, commands: Commands) -> Commands:
    """Commands of a run with a model that was trained on two nodes, and calibrated."""
    run_id = str(uuid.uuid4())
    for step in (commands.train(), commands.calibrate()):
        ended = session.run(run_id, *step)
        assert ended.code == 0, f"{step[0]}: {ended.log}"
    session.await_nothing_left(run_id)
    return commands

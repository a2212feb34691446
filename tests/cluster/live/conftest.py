"""Fixtures of the tests that run on a cluster: access, and data that the steps of one run have prepared."""

import uuid
from collections.abc import Iterator

import pytest
from kubernetes import client, config

from tests.cluster.live.data import PREPARE, Commands
from tests.cluster.live.step_pod import Session
from tests.cluster.live.target import Target


@pytest.fixture(scope="session")
def target() -> Target:
    """The cluster that the environment names; without one, the tests fail and say what they need."""
    return Target.from_environment()


@pytest.fixture(scope="session")
def session(target: Target) -> Session:
    """Access to the cluster."""
    config.load_kube_config()
    api = client.ApiClient()
    return Session(target, client.CoreV1Api(api), client.CustomObjectsApi(api))


@pytest.fixture
def run_id(session: Session) -> Iterator[str]:
    """A run of its own, of which nothing may be left when the test ends."""
    run_id = str(uuid.uuid4())
    yield run_id
    session.await_nothing_left(run_id)
    session.core.delete_collection_namespaced_pod(session.target.namespace, label_selector=f"pipeline/runid={run_id}")


@pytest.fixture(scope="session")
def commands(session: Session) -> Commands:
    """Commands of a run whose datasets are there, scaled; the Dask step has run on the cluster."""
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
    """Commands of a run whose model was trained on two nodes."""
    run_id = str(uuid.uuid4())
    ended = session.run(run_id, *commands.train())
    assert ended.code == 0, ended.log
    session.await_nothing_left(run_id)
    return commands

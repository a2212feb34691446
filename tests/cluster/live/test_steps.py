"""Tests of the launching steps on small data, up to a deployed service."""

import uuid
from collections.abc import Iterator

import pytest

from container_component_src.cluster.kinds import INFERENCE_SERVICE
from tests.cluster.live.data import Commands
from tests.cluster.live.load import Load
from tests.cluster.live.step_pod import Session, until


@pytest.fixture
def service(session: Session) -> Iterator[str]:
    """Name of a service that is deleted at the end."""
    name = f"live-{uuid.uuid4().hex[:6]}"
    kind, namespace = INFERENCE_SERVICE, session.target.namespace
    yield name
    custom = session.custom
    arguments = (kind.group, kind.version, namespace, kind.plural)
    custom.delete_namespaced_custom_object(*arguments, name)

    def gone() -> bool:
        return all(
            item["metadata"]["name"] != name for item in custom.list_namespaced_custom_object(*arguments)["items"]
        )

    until(gone, f"InferenceService {name} to be deleted", 120)


def test_tuning_returns_the_best_hyperparameters(session: Session, commands: Commands, run_id: str) -> None:
    ended = session.run(run_id, *commands.tune())
    assert ended.code == 0, ended.log
    assert "2 succeeded" in ended.log


def test_model_is_deployed_and_updated_without_a_failed_request(
    session: Session, trained: Commands, run_id: str, service: str
) -> None:
    evaluated = session.run(run_id, *trained.evaluate())
    assert evaluated.code == 0, evaluated.log
    first = session.run(run_id, *trained.deploy(service))
    assert first.code == 0, first.log
    for step in (trained.train(nodes=1, target="model-2"), trained.calibrate("model-2")):
        second = session.run(run_id, *step)
        assert second.code == 0, second.log
    with Load(session, run_id, service, trained.prefix) as load:
        updated = session.run(run_id, *trained.deploy(service, "model-2"))
    assert updated.code == 0, updated.log
    assert load.answers > 50
    assert load.failures == []

import json
import shutil
from pathlib import Path

import pytest

from container_component_src.backends.local import LocalBackend
from container_component_src.backends.local.deployments import read, record
from container_component_src.errors import InputError
from container_component_src.model.bundle import Bundle
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.serving.deployment.service import (
    DeployedBundles,
    Deployment,
    Service,
    SmokeRequest,
    bundle_to_deploy,
)
from tests.serving.bundles import make_bundle


def service(folder: Path, seed: int) -> Service:
    """Return the service of a bundle of its own."""
    version = make_bundle(folder / str(seed), seed=seed).info.version
    return Service("eclss", str(folder / str(seed)), SmokeRequest((), ()), version)


def versions(found: DeployedBundles) -> tuple[str, ...]:
    return tuple(Bundle.load(uri).info.version if uri else "" for uri in (found.present, found.previous))


def test_a_service_that_was_never_deployed_has_no_bundles(tmp_path: Path) -> None:
    assert read(tmp_path, "eclss") == DeployedBundles()
    assert LocalBackend().deployed("eclss") == DeployedBundles()


def test_copies_of_the_last_two_bundles_outlive_the_outputs_of_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_ID_VARIABLE, "run-3")
    first, second, third = (service(tmp_path / "outputs", seed) for seed in (1, 2, 3))
    for deployed in (first, second, third):
        record(tmp_path / "deployments", deployed)
    shutil.rmtree(tmp_path / "outputs")
    assert versions(read(tmp_path / "deployments", "eclss")) == (third.model_version, second.model_version)
    kept = {path.name for path in (tmp_path / "deployments" / "eclss").iterdir()}
    assert kept == {second.model_version, third.model_version}
    written = json.loads((tmp_path / "deployments" / "eclss.json").read_text())
    assert (written["present"]["source"], written["present"]["run_id"]) == (third.bundle_uri, "run-3")


def test_the_same_bundle_again_leaves_the_previous_one(tmp_path: Path) -> None:
    first, second = (service(tmp_path, seed) for seed in (1, 2))
    for deployed in (first, second, second):
        record(tmp_path / "deployments", deployed)
    assert versions(read(tmp_path / "deployments", "eclss")) == (second.model_version, first.model_version)


def test_a_rollback_of_a_rollback_returns(tmp_path: Path) -> None:
    backend, folder = LocalBackend(tmp_path / "deployments"), tmp_path / "deployments"
    first, second = (service(tmp_path / "outputs", seed) for seed in (1, 2))
    record(folder, first)
    with pytest.raises(InputError, match="service eclss has no previous bundle; name the bundle to deploy"):
        bundle_to_deploy("previous", "eclss", lambda: backend.deployed("eclss"))
    record(folder, second)
    shutil.rmtree(tmp_path / "outputs")
    for expected in (first, second, first):
        uri = bundle_to_deploy("previous", "eclss", lambda: backend.deployed("eclss"))
        record(folder, Service("eclss", uri, SmokeRequest((), ()), Bundle.load(uri).info.version))
        assert versions(backend.deployed("eclss"))[0] == expected.model_version


def test_only_a_deployment_that_succeeded_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, backend = service(tmp_path, 1), LocalBackend(tmp_path / "deployments")

    def fail(service: Service) -> Deployment:
        raise InputError("not ready")

    monkeypatch.setattr("container_component_src.backends.local.serving.deploy", fail)
    with pytest.raises(InputError, match="not ready"):
        backend.deploy(wanted)
    assert backend.deployed("eclss") == DeployedBundles()
    monkeypatch.setattr(
        "container_component_src.backends.local.serving.deploy", lambda service: Deployment("url", "version")
    )
    assert backend.deploy(wanted) == Deployment("url", "version")
    assert versions(backend.deployed("eclss")) == (wanted.model_version, "")


def test_an_interrupted_copy_is_completed(tmp_path: Path) -> None:
    wanted = service(tmp_path, 1)
    copy = tmp_path / "deployments" / "eclss" / wanted.model_version
    copy.mkdir(parents=True)
    (copy / "model.safetensors").write_bytes(b"half")
    record(tmp_path / "deployments", wanted)
    assert versions(read(tmp_path / "deployments", "eclss")) == (wanted.model_version, "")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "eclss.json").write_text('{"present": {"version": "../..", "source": "s"}}')
    with pytest.raises(InputError, match=r"eclss\.json: not a record of deployments \(.*present\.version.*delete it"):
        read(tmp_path, "eclss")

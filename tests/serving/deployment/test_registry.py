"""Registration in a Model Registry: a stand-in that checks everything against the published description."""

import logging
import socket
from typing import Any

import pytest
import trustme

from container_component_src.errors import InputError, StepError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.deployment.registry import Registration, register, registration, try_to_register
from container_component_src.steps.serving import REGISTRY_CA, REGISTRY_TOKEN
from tests.evaluation.cases import make_bundle
from tests.serving.deployment.registry_server import Registry, serving

URI = "s3://models/calibrated"


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> BundleInfo:
    return make_bundle(str(tmp_path_factory.mktemp("bundle")))


@pytest.fixture
def model(info: BundleInfo) -> Registration:
    return registration("eclss", URI, info, "run-1", "c0ffee")


def properties(item: dict[str, Any]) -> dict[str, Any]:
    """Return the values of custom properties, which lie under the name of their type."""
    values = ((name, dict(value)) for name, value in item["customProperties"].items())
    return {name: next(found for key, found in value.items() if key != "metadataType") for name, value in values}


@pytest.mark.parametrize("api", ["v1", "v1alpha3"])
def test_a_new_version_is_registered_with_what_is_known(api: str, model: Registration, info: BundleInfo) -> None:
    with serving(Registry(api)) as registry:
        assert register(f"{registry.url}/", model, {})
    (parent,), (version,), (artifact,) = registry.models, registry.versions, registry.artifacts
    assert parent["name"] == "eclss"
    assert info.version in parent["readme"]
    assert (version["name"], version["registeredModelId"]) == (info.version, parent["id"])
    assert properties(version) == {
        "detector": "vae",
        "alarm_threshold": 8.0,
        "clear_threshold": 8.0,
        "val_loss": 7.5,
        "train_rows": "1000",  # whole numbers are text in the description
        "channels": "3",
        "weights_sha256": info.weights_sha256,
        "expected_false_alarms_per_day": 1.0,
        "run_id": "run-1",
        "commit": "c0ffee",
    }
    assert (artifact["uri"], artifact["modelVersionId"], artifact["modelSourceId"]) == (URI, version["id"], "run-1")
    assert artifact["artifactType"] == "model-artifact"


def test_a_registration_can_be_repeated_and_another_version_is_added(model: Registration) -> None:
    other = Registration(model.model, "0" * 64, "s3://models/other", {}, model.readme)
    with serving(Registry()) as registry:
        assert [register(registry.url, item, {}) for item in (model, model, other, model)] == [True, False, True, False]
    assert len(registry.models) == 1
    assert [item["name"] for item in registry.versions] == [model.version, other.version]
    assert [item["uri"] for item in registry.artifacts] == [URI, "s3://models/other"]


def test_a_repeated_registration_completes_an_earlier_one(model: Registration) -> None:
    with serving(Registry()) as registry:
        registry.fails_at = "artifacts"
        with pytest.raises(StepError, match="answers 500"):
            register(registry.url, model, {})
        assert (len(registry.versions), registry.artifacts) == (1, [])
        registry.fails_at = ""
        assert not register(registry.url, model, {})
        assert len(registry.artifacts) == 1


def test_two_steps_may_register_the_same_model(model: Registration) -> None:
    with serving(Registry()) as registry:
        register(registry.url, model, {})
        registry.hides_models = 1
        assert not register(registry.url, model, {})
    assert len(registry.models) == len(registry.versions) == 1


def test_the_token_is_sent_and_never_shown(model: Registration, caplog: pytest.LogCaptureFixture) -> None:
    with serving(Registry(token="secret")) as registry, caplog.at_level(logging.DEBUG):
        assert register(registry.url, model, {REGISTRY_TOKEN: " secret\n"})
        with pytest.raises(StepError, match="answers 401") as raised:
            register(registry.url, model, {REGISTRY_TOKEN: "other-secret"})
        with pytest.raises(InputError, match=REGISTRY_TOKEN):
            register(registry.url, model, {REGISTRY_TOKEN: "a secret"})
    assert "secret" not in f"{caplog.text}{raised.value}"


def test_certificates_are_verified_and_may_be_given(model: Registration) -> None:
    authority = trustme.CA()
    with serving(Registry(token="secret").encrypt(authority)) as registry:
        with pytest.raises(StepError, match=f"no encrypted connection.*{REGISTRY_CA}"):
            register(registry.url, model, {REGISTRY_TOKEN: "secret"})
        assert registry.requests == []
        pem = authority.cert_pem.bytes().decode()
        assert register(registry.url, model, {REGISTRY_TOKEN: "secret", REGISTRY_CA: pem})


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_registry_that_is_away_is_a_warning_that_names_it(
    model: Registration, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    try_to_register(url, model, {})
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (
        f"eclss version {model.version} was not registered: {url}: the model registry is away" in warning.getMessage()
    )
    assert "the deployment itself stands" in warning.getMessage()


def test_another_service_and_bad_certificates_are_told_apart(model: Registration) -> None:
    with serving(Registry("v3")) as registry, pytest.raises(StepError, match="answers 404"):
        register(registry.url, model, {})
    with serving(Registry()) as registry:
        with pytest.raises(StepError, match=f"no encrypted connection.*{REGISTRY_CA}"):
            register(registry.url.replace("http:", "https:"), model, {})
        with pytest.raises(StepError, match=REGISTRY_CA):
            register(registry.url, model, {REGISTRY_CA: "not PEM"})

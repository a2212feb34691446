"""The platform that the tests of this folder submit to."""

import logging
import os
from collections.abc import Iterator

import pytest

from tests.pipeline.remote.gateways import SECRETS
from tests.pipeline.remote.platform_server import Platform, serving


@pytest.fixture(autouse=True)
def no_platform_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No login, proxy or image of the machine that runs the tests has a part in them."""
    for name in list(os.environ):
        if name.startswith(("KUBEFLOW_", "KF_PIPELINES_", "IMAGE_TAG", "SSL_CERT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_secret_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does, what all loggers say at their most talkative names no secret."""
    caplog.set_level(logging.DEBUG)
    yield
    said = "".join(f"{record.getMessage()}{record.exc_text or ''}" for record in caplog.get_records("call"))
    assert not [secret for secret in SECRETS if secret in said]


@pytest.fixture
def platform() -> Iterator[Platform]:
    """oauth2-proxy, Dex with a static password and the API."""
    with serving() as platform:
        yield platform

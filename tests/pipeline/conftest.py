"""The platform that the tests of this folder submit to, and the container engine that they start steps with."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.remote.gateways import SECRETS
from tests.pipeline.remote.platform_server import Platform, serving

# Stands in for an engine with one image: notes how it is called and, for `run`, runs what follows the image.
ENGINE = f"""#!{sys.executable}
import json, os, subprocess, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "inspect" in sys.argv:
    sys.exit(print("sha256:1") if sys.argv[-1] == "image:tag" else "no such\\nimage")
if "run" in sys.argv:
    sys.exit(subprocess.call(sys.argv[sys.argv.index("sha256:1") + 1 :]))
"""


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


@pytest.fixture
def engine(tmp_path: Path) -> dict[str, str]:
    """The environment that names an engine."""
    program = tmp_path / "engine"
    program.write_text(ENGINE)
    program.chmod(0o755)
    calls = {"CALLS": str(tmp_path / "calls"), "CONTAINER_OPTIONS": "--network 'of mine'"}
    return {**os.environ, **calls, "CONTAINER_ENGINE": f"{program} --quiet"}

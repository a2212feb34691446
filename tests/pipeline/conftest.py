"""A simulated platform and a simulated container engine."""

import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from kfp.dsl import pipeline_task

from tests.pipeline.remote.gateways import SECRETS
from tests.pipeline.remote.platform_server import Platform, serving

# An engine with one image: it records its calls and, for `run`, runs the command after the image.
ENGINE = f"""#!{sys.executable}
import json, os, subprocess, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "inspect" in sys.argv:
    sys.exit(print("sha256:1") if sys.argv[-1] == "image:tag" else "no such\\nimage")
if "run" in sys.argv:
    sys.exit(subprocess.call(sys.argv[sys.argv.index("sha256:1") + 1 :]))
"""


@pytest.fixture(autouse=True, scope="session")
def quick_look_at_callers() -> Iterator[None]:
    """Let kfp find the name of a caller without reading the source of all callers, half of the time to compile."""

    def stack() -> list[tuple[object, str, int, str]]:
        callers = (sys._getframe(depth).f_code for depth in (1, 2))
        return [(None, code.co_filename, 0, code.co_name) for code in callers]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_task, "inspect", SimpleNamespace(stack=stack))
        yield


@pytest.fixture(autouse=True, scope="module")
def quick_yaml() -> Iterator[None]:
    """Let kfp and the simulated platform read and write YAML with libyaml, in an eighth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
        patch.setattr(yaml, "dump_all", partial(yaml.dump_all, Dumper=yaml.CDumper))
        yield


@pytest.fixture(autouse=True)
def no_platform_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove login, proxy and image tag of the developer from the environment."""
    for name in list(os.environ):
        if name.startswith(("KUBEFLOW_", "KF_PIPELINES_", "IMAGE_TAG", "SSL_CERT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_secret_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check after each test that no logger has written a secret, at level DEBUG."""
    caplog.set_level(logging.DEBUG)
    yield
    logged = "".join(f"{record.getMessage()}{record.exc_text or ''}" for record in caplog.get_records("call"))
    assert not [secret for secret in SECRETS if secret in logged]


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A platform with oauth2-proxy, Dex with a static password, and the API."""
    with serving() as platform:
        yield platform


@pytest.fixture
def engine(tmp_path: Path) -> dict[str, str]:
    """Environment variables of the container engine."""
    program = tmp_path / "engine"
    program.write_text(ENGINE)
    program.chmod(0o755)
    calls = {"CALLS": str(tmp_path / "calls"), "CONTAINER_OPTIONS": "--network 'of mine'"}
    return {**os.environ, **calls, "CONTAINER_ENGINE": f"{program} --quiet"}

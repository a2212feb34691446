"""The command that the tests of this folder give, and what it may be told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.remote.command import Command, Told, call
from tests.pipeline.remote.gateways import PASSWORD, USERNAME
from tests.pipeline.remote.platform_server import Platform

LOGIN = {"KUBEFLOW_USERNAME": USERNAME, "KUBEFLOW_PASSWORD": PASSWORD}
Submit = Callable[..., Told]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, called in this process with options and with environment variables as keywords."""

    def told(*arguments: str, **variables: str) -> Told:
        return call(tmp_path, monkeypatch, capsys, *arguments, **variables)

    return told


@pytest.fixture
def submit(command: Command) -> Submit:
    """The command for a platform, with the login there and without preflight."""

    def told(platform: Platform, *arguments: str, **variables: str) -> Told:
        environment = {"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN, **variables}
        return command("--remote", "--skip-preflight", "--image-tag", "1.0", *arguments, **environment)

    return told

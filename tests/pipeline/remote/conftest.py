"""Fixtures that call the command on a simulated platform."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from pydantic import SecretStr

from pipeline.login.settings import Login, RemoteSettings
from pipeline.remote import request_retry, workflow_watch
from pipeline.remote.following import follow_run
from pipeline.remote.workspace import Workspace, open_remote
from pipeline.steps import PlannedStep
from tests.pipeline.remote.command import Command, CommandResult, call
from tests.pipeline.remote.gateways import PASSWORD, PROFILE, S3_KEY, USERNAME
from tests.pipeline.remote.platform_server import Platform
from tests.pipeline.remote.runs_api import Moment

CONFIG = Path(__file__).parent / "cluster.toml"
LOGIN = {"KUBEFLOW_USERNAME": USERNAME, "KUBEFLOW_PASSWORD": PASSWORD}
Submit = Callable[..., CommandResult]
Follow = Callable[..., CommandResult]
TASKS = ("list-archives", "run-pytorchjob", "deploy-to-kserve", "cleanup")
STEPS = [PlannedStep(f"comp-{name}", in_loop=False) for name in TASKS]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call of the command in this process, with options, and environment variables as keywords."""

    def told(*arguments: str, **variables: str) -> CommandResult:
        return call(tmp_path, monkeypatch, capsys, *arguments, **variables)

    return told


@pytest.fixture
def submit(command: Command) -> Submit:
    """Call of the command for a platform with a login; new runs skip the preflight."""

    def told(platform: Platform, *arguments: str, **variables: str) -> CommandResult:
        environment = {"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN, **variables}
        new = () if "--retry" in arguments else ("--skip-preflight", "--image-tag", "1.0")
        return command("--remote", *new, *arguments, **environment)

    return told


@pytest.fixture
def workspace(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Workspace of a user who has logged in from outside, with short intervals."""
    monkeypatch.setattr(request_retry, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(workflow_watch, "LOOK_INTERVAL", 0)
    return open_remote(RemoteSettings(platform.endpoint, Login(USERNAME, SecretStr(PASSWORD)), PROFILE, ""))


@pytest.fixture
def follow(platform: Platform, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Follow:
    """Function that creates a run, follows it through some moments, and returns the output."""

    def told(*story: Moment, retries: int = 0, where: Workspace = workspace) -> CommandResult:
        run = platform.api.add_run({"display_name": "run"}, PROFILE)
        platform.api.story = list(story)
        capsys.readouterr()
        code = follow_run(where, run["run_id"], STEPS, retries)
        written = capsys.readouterr()
        return CommandResult(code, written.out, written.err)

    return told


@pytest.fixture(scope="session")
def storage(s3_endpoint: str) -> dict[str, str]:
    """Variables for a bucket with an archive and a report."""
    endpoint = f"http://{s3_endpoint}"
    store = s3fs.S3FileSystem(key="key", secret="s", endpoint_url=endpoint, skip_instance_cache=True)
    store.mkdir("preflight")
    times = pa.array([datetime(2022, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    archive = io.BytesIO()
    pq.write_table(pa.table({"normalizedTime": times, "pressure": [1.0]}), archive)
    store.pipe_file("preflight/archives/2022.parquet", archive.getvalue())
    header = "ID,SYMBOL,TITLE,EVENT GMT (DOY/HH:MM:SS),Duration/End GMT"
    report = f"{header}\n1,LEAK,Leak,2022/001/00:00:00,2022/001/01:00:00\n"
    store.pipe_file("preflight/reports.csv", report.encode())
    return {"S3_ENDPOINT": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": S3_KEY}


def inputs(archives: str, reports: str) -> tuple[str, ...]:
    """Options that name the inputs of the pipeline, and a configuration whose image has a registry."""
    return ("--config", str(CONFIG), "--param", f"archives_path={archives}", "--param", f"reports_path={reports}")

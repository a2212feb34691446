"""The command that the tests of this folder give, and what it may be told."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.remote.command import Command, Told, call
from tests.pipeline.remote.gateways import PASSWORD, S3_KEY, USERNAME
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


@pytest.fixture
def storage(s3_endpoint: str) -> dict[str, str]:
    """The variables for a bucket with an archive and a report."""
    endpoint = f"http://{s3_endpoint}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="s", region_name="us-east-1"
    )
    client.create_bucket(Bucket="preflight")
    times = pa.array([datetime(2022, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    archive = io.BytesIO()
    pq.write_table(pa.table({"normalizedTime": times, "pressure": [1.0]}), archive)
    client.put_object(Bucket="preflight", Key="archives/2022.parquet", Body=archive.getvalue())
    header = "ID,SYMBOL,TITLE,EVENT GMT (DOY/HH:MM:SS),Duration/End GMT"
    report = f"{header}\n1,LEAK,Leak,2022/001/00:00:00,2022/001/01:00:00\n"
    client.put_object(Bucket="preflight", Key="reports.csv", Body=report.encode())
    return {"S3_ENDPOINT": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": S3_KEY}

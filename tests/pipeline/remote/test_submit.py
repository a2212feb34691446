"""The command itself, as a process, against a platform on a real socket."""

import contextlib
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import trustme

from tests.pipeline.remote.gateways import LDAP_PASSWORD, LDAP_USERNAME, PASSWORD, TOKEN, USERNAME, LoginOptions
from tests.pipeline.remote.kfp_api import Moment, Task
from tests.pipeline.remote.platform_server import Platform, serving

ROOT = Path(__file__).resolve().parents[3]
SECRETS = (PASSWORD, LDAP_PASSWORD, TOKEN, "session-s3cr3t", "s3-s3cr3t")
LOGIN = {"KUBEFLOW_USERNAME": USERNAME, "KUBEFLOW_PASSWORD": PASSWORD}
WITHOUT_CHECKS = ("--remote", "--skip-preflight", "--image-tag", "1.0")


class Told:
    """A finished command.

    Attributes:
        code: Its exit code.
        out: What it wrote to stdout.
        error: What it wrote to stderr.
    """

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("KUBEFLOW_", "AWS_", "S3_"))}
        process = subprocess.Popen(
            [sys.executable, "-c", _FAST_POLLS, *arguments],
            cwd=ROOT,
            env={**inherited, "PYTHONWARNINGS": "ignore", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        command_lines = [_read(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        self.out, self.error = process.communicate(timeout=120)
        self.code = process.returncode
        told = "".join(command_lines) + self.out + self.error
        assert not [secret for secret in SECRETS if secret in told]


# The intervals are short, so that the tests are; everything else is the program as it is.
_FAST_POLLS = """
import sys
from pipeline.remote import client, waiting
waiting.POLL_INTERVAL = 0.05
client._READ_SECONDS = 2
from pipeline.compile_and_run_pipeline import main
sys.exit(main())
"""


def _read(path: Path) -> str:
    """A file of a process, which may have ended meanwhile."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def submit(platform: Platform, *arguments: str, **environment: str) -> Told:
    return Told((*WITHOUT_CHECKS, *arguments), {"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN, **environment})


def test_run_is_created_in_its_experiment_and_its_address_is_printed(platform: Platform) -> None:
    told = submit(platform, "--param", "max_epochs=3", "--param", "lrs=[0.1]", "--run-name", "first")
    assert (told.code, told.error) == (0, "")
    (run,), (experiment,) = platform.api.runs, platform.api.experiments
    assert run["display_name"] == "first"
    assert run["experiment_id"] == experiment["experiment_id"]
    assert (experiment["display_name"], experiment["namespace"]) == ("columbus-eclss-ad", "user")
    assert run["runtime_config"]["parameters"] == {"namespace": "user", "max_epochs": 3, "lrs": [0.1]}
    images = {
        executor["container"]["image"]
        for executor in run["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"].values()
    }
    assert images == {"columbus-eclss-ad:1.0"}
    assert told.out.splitlines() == [
        "run: first",
        f"{platform.endpoint}/_/pipeline/?ns=user#/runs/details/{run['run_id']}",
    ]


def test_second_run_uses_the_experiment_and_no_cache_if_asked(platform: Platform) -> None:
    assert submit(platform).code == 0
    assert submit(platform, "--no-cache").code == 0
    assert len(platform.api.experiments) == 1
    assert not [secret for secret in SECRETS if secret in str(platform.api.runs)]
    cached, uncached = (str(run["pipeline_spec"]).count("'enableCache': True") for run in platform.api.runs)
    assert cached > 5
    assert uncached < 5  # the loops, conditions and nested pipelines, which are no steps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--param", "max_epoch=3"), "unknown pipeline parameter 'max_epoch'"),
        (("--param", "max_epochs=many"), "'max_epochs' is 'many': give a whole number"),
        (("--schedule", "0 3 *"), "give five fields"),
        (("--wait", "--upload"), "exclude each other"),
    ],
)
def test_what_does_not_fit_is_said_before_a_run(platform: Platform, arguments: tuple[str, ...], message: str) -> None:
    told = submit(platform, *arguments)
    assert told.code == 2
    assert message in told.error
    assert len(told.error.splitlines()) == 1
    assert platform.api.runs == []


STEPS = {"list-archives": Task("SUCCEEDED"), "run-pytorchjob": Task("RUNNING")}


def test_wait_ends_well(platform: Platform) -> None:
    platform.api.story = [Moment("PENDING"), Moment("RUNNING", STEPS), Moment("SUCCEEDED")]
    told = submit(platform, "--wait")
    assert told.code == 0
    assert "list_archives: succeeded (90.0 s)" in told.out
    assert "run_pytorchjob: running" in told.out
    assert told.out.endswith("the run succeeded\n")


def test_wait_ends_with_the_error_and_the_log_of_the_failed_step(platform: Platform) -> None:
    failed = {**STEPS, "run-pytorchjob": Task("FAILED", "Error (exit code 1)", "pod-7")}
    platform.api.story = [Moment("RUNNING", STEPS), Moment("FAILED", failed)]
    platform.api.pod_logs["pod-7"] = "epoch 1\nerror: out of memory; give more\n"
    told = submit(platform, "--wait")
    assert told.code == 1
    first, *log, last = told.error.splitlines()
    assert first == "run_pytorchjob: Error (exit code 1)"
    assert log == ["  epoch 1", "  error: out of memory; give more"]
    assert last.startswith("error: the run ended as FAILED: see http")


def test_session_that_expires_while_waiting_is_renewed_once(platform: Platform) -> None:
    for _ in range(2):
        platform.api.story.insert(0, Moment("RUNNING", STEPS))
    platform.faults["/apis/v2beta1/runs/"] = [401]
    told = submit(platform, "--wait")
    assert told.code == 0
    assert platform.gateway.logins == 2


def test_session_behind_the_older_gateway_is_renewed_too() -> None:
    with serving(LoginOptions("oidc-authservice")) as platform:
        platform.faults["/apis/v2beta1/runs/"] = [302]
        told = submit(platform, "--wait")
        assert (told.code, platform.gateway.logins) == (0, 2), told.error


@pytest.mark.parametrize("fault", [500, 503, "reset", "slow"])
def test_passing_trouble_while_waiting_is_waited_out(platform: Platform, fault: int | str) -> None:
    platform.faults["/apis/v2beta1/runs/"] = [fault, fault]
    told = submit(platform, "--wait")
    assert told.code == 0, told.error
    assert told.error.count("asking again") == 2


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (401, "does not take the login for the API"),
        (403, "namespace 'user' (derived from KUBEFLOW_USERNAME"),
        (404, "namespace 'user'"),
        (409, "refuses with 409"),
        (500, "answers 500"),
        ("reset", "the connection broke"),
        ("slow", "no answer within 2 s"),
    ],
)
def test_trouble_before_a_run_is_one_line(platform: Platform, fault: int | str, message: str) -> None:
    platform.faults["/apis/v2beta1/experiments"] = [fault] * 2
    told = submit(platform)
    assert told.code in {1, 2}
    (line,) = told.error.splitlines()
    assert message in line
    assert platform.api.runs == []


def test_namespace_of_others_is_refused(platform: Platform) -> None:
    told = submit(platform, KUBEFLOW_NAMESPACE="elsewhere")
    assert told.code == 2
    assert "namespace 'elsewhere' (KUBEFLOW_NAMESPACE): there is none that this user belongs to" in told.error


def test_wrong_password_is_one_line(platform: Platform) -> None:
    told = submit(platform, KUBEFLOW_PASSWORD="guess")
    assert (told.code, len(told.error.splitlines())) == (2, 1)
    assert "wrong user name or password" in told.error


def test_missing_settings_are_named(platform: Platform) -> None:
    told = submit(platform, KUBEFLOW_PASSWORD="", KUBEFLOW_USERNAME="")
    assert told.code == 2
    assert "KUBEFLOW_USERNAME (the login at Kubeflow), KUBEFLOW_PASSWORD" in told.error


def test_token_instead_of_a_login(platform: Platform) -> None:
    told = submit(platform, KUBEFLOW_TOKEN=TOKEN, KUBEFLOW_NAMESPACE="team")
    assert (told.code, platform.gateway.logins) == (0, 0), told.error
    platform.faults["/apis/"] = [401]
    told = submit(platform, KUBEFLOW_TOKEN=TOKEN, KUBEFLOW_NAMESPACE="team")
    assert told.code == 1
    assert "renew the token" in told.error


def test_platform_for_one_user_gets_no_namespace() -> None:
    with serving(LoginOptions("none")) as platform:
        platform.api.multi_user = False
        told = submit(platform)
        assert told.code == 0, told.error
        assert platform.api.experiments[0]["namespace"] == ""


def test_upload_makes_a_pipeline_and_then_versions(platform: Platform) -> None:
    for name in ("a", "b"):
        assert submit(platform, "--upload", "--run-name", name).code == 0
    (pipeline,) = platform.api.pipelines
    assert pipeline["namespace"] == "user"
    assert [version["name"] for version in platform.api.versions] == ["columbus-eclss-ad-pipeline", "b"]
    again = submit(platform, "--upload", "--run-name", "b")
    assert again.code == 1
    assert "already exist" in again.error


def test_schedule_is_created_listed_and_disabled_by_name(platform: Platform) -> None:
    assert submit(platform, "--schedule", "30 3 * * 1", "--run-name", "weekly").code == 0
    (schedule,) = platform.api.schedules
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 30 3 * * 1"
    assert (schedule["max_concurrency"], schedule["no_catchup"]) == (1, True)
    twice = submit(platform, "--schedule", "30 3 * * 1", "--run-name", "weekly")
    assert (twice.code, len(platform.api.schedules)) == (2, 1)
    assert submit(platform, "--list-schedules").out == "weekly\t0 30 3 * * 1\tenabled\n"
    assert submit(platform, "--disable-schedule", "weekly").out == "disabled: 1 of 'weekly'\n"
    assert submit(platform, "--list-schedules").out == "weekly\t0 30 3 * * 1\tdisabled\n"
    absent = submit(platform, "--disable-schedule", "daily")
    assert absent.code == 2
    assert "no schedule 'daily' in namespace user: there is weekly" in absent.error


def test_unknown_authority_needs_its_bundle(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(tls=context) as platform:
        for login in ({}, {"KUBEFLOW_TOKEN": TOKEN, "KUBEFLOW_NAMESPACE": "user"}):
            refused = submit(platform, **login)
            assert (refused.code, refused.error.count("certificate is not trusted")) == (1, 1)
            assert submit(platform, "--ca-bundle", str(tmp_path / "ca.pem"), **login).code == 0
            assert submit(platform, "--insecure", **login).code == 0
        assert len(platform.api.runs) == 4


def test_ldap_connector() -> None:
    connectors = {"local": {USERNAME: PASSWORD}, "ldap": {LDAP_USERNAME: LDAP_PASSWORD}}
    with serving(LoginOptions(connectors=connectors)) as platform:
        names = {"KUBEFLOW_USERNAME": LDAP_USERNAME, "KUBEFLOW_PASSWORD": LDAP_PASSWORD}
        told = submit(platform, KUBEFLOW_CONNECTOR="ldap", **names)
        assert told.code == 0, told.error
        assert platform.api.experiments[0]["namespace"] == "anna"


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[tuple[Platform, dict[str, str]]]:
    """The API as a pod reaches it: no gateway, but the pod's token."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with serving() as platform:
        yield (
            platform,
            {
                "KF_PIPELINES_SA_TOKEN_PATH": str(token),
                "KF_PIPELINES_ENDPOINT": platform.endpoint,
                "KUBEFLOW_NAMESPACE": "user",
            },
        )


def test_from_a_notebook(notebook: tuple[Platform, dict[str, str]]) -> None:
    platform, environment = notebook
    s3 = ("--param", "archives_path=s3://data/archives", "--param", "reports_path=s3://data/reports.csv")
    told = Told(("--image-tag", "1.0", *s3), environment)
    assert told.code == 0, told.error
    assert "warning: inputs: not looked at" in told.error
    assert platform.api.runs[0]["runtime_config"]["parameters"]["namespace"] == "user"
    assert platform.gateway.logins == 0


def test_preflight_looks_at_the_inputs(platform: Platform, s3_endpoint: str) -> None:
    endpoint = f"http://{s3_endpoint}"
    storage = {"S3_ENDPOINT": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3-s3cr3t"}
    environment = {"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN}
    arguments = ("--remote", "--image-tag", "1.0")
    s3 = ("--param", "archives_path=s3://preflight/a", "--param", "reports_path=s3://preflight/b.csv")
    missing = Told((*arguments, *s3), environment)
    assert (missing.code, "S3_ENDPOINT (the object storage" in missing.error) == (2, True)
    local = Told(arguments, {**environment, **storage})
    assert local.code == 1
    assert "pods cannot reach this machine's files" in local.error
    boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="s", region_name="us-east-1"
    ).create_bucket(Bucket="preflight")
    absent = Told((*arguments, *s3), {**environment, **storage})
    assert absent.code == 1
    assert "not submitted: archives, reports" in absent.error
    assert platform.api.runs == []

"""Errors between the client and a platform: one line each, and the right exit code."""

import ssl
import traceback
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from pipeline.login.errors import PlatformError
from pipeline.login.settings import Login, RemoteSettings
from pipeline.remote.workspace import open_remote
from tests.pipeline.remote.argo import Task
from tests.pipeline.remote.command import run, secrets_in
from tests.pipeline.remote.conftest import LOGIN, Submit
from tests.pipeline.remote.gateways import PASSWORD, PROFILE, TOKEN, USERNAME, LoginOptions
from tests.pipeline.remote.platform_server import Fault, Platform, serving
from tests.pipeline.remote.runs_api import Moment

pytestmark = pytest.mark.slow  # many of these tests start processes or wait

WAITING = ("--remote", "--skip-preflight", "--image-tag", "1.0", "--wait")
STEPS = {"list-archives": Task(), "run-pytorchjob": Task("Running")}
RUNS = "/apis/v2beta1/runs/"


def test_wait_shows_the_steps_until_the_run_succeeds(platform: Platform, submit: Submit) -> None:
    platform.api.story = [Moment("PENDING"), Moment("RUNNING", STEPS), Moment("SUCCEEDED")]
    told = submit(platform, "--wait")
    assert told.code == 0
    assert "list_archives: succeeded (90.0 s)" in told.out
    assert "run_pytorchjob: running" in told.out
    assert "the run succeeded" in told.out.splitlines()


def test_ctrl_c_stops_the_waiting_but_not_the_run(platform: Platform, tmp_path: Path) -> None:
    platform.api.story = [Moment("RUNNING", STEPS)]
    told = run(tmp_path, *WAITING, interrupt_at="running", KUBEFLOW_ENDPOINT=platform.endpoint, **LOGIN)
    assert told.code == 130
    assert told.error.startswith(f"stopped waiting; the run continues: {platform.endpoint}/_/pipeline/")


@pytest.mark.parametrize(
    "options",
    [LoginOptions(), LoginOptions(sign_in_page=False), LoginOptions("oidc-authservice")],
    ids=["oauth2-proxy", "oauth2-proxy-redirecting", "oidc-authservice"],
)
def test_session_that_expires_while_waiting_is_renewed_once(options: LoginOptions, submit: Submit) -> None:
    with serving(options) as platform:
        platform.api.story = [Moment("RUNNING", STEPS), Moment("RUNNING", STEPS), Moment("SUCCEEDED")]
        platform.faults[RUNS] = [platform.expire_sessions]
        told = submit(platform, "--wait")
        assert (told.code, told.error) == (0, "")
        assert platform.gateway.logins == 2
        assert len([path for _, path in platform.seen if RUNS in path]) == 4  # one of them in vain


def test_request_renews_the_session_once_only(
    platform: Platform, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    platform.faults[RUNS] = [401, 401, 503]
    platform.faults["/apis/v1beta1/runs/"] = [403, 403]
    told = submit(platform, "--wait")
    assert (told.code, platform.gateway.logins) == (0, 2)
    login, failing = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "the API does not accept the login (401, upstream connect error); ask the platform's administrator" in login
    assert "answers 503" in failing


def test_password_change_while_waiting_is_reported(platform: Platform, submit: Submit) -> None:
    def change_password() -> None:
        platform.expire_sessions()
        platform.dex.options.connectors = {"local": {USERNAME: "another"}}

    platform.faults[RUNS] = [change_password]
    told = submit(platform, "--wait")
    assert told.code == 2
    (line,) = told.error.splitlines()
    assert "wrong user name or password at connector 'local'" in line
    assert "; the run continues: http" in line


def test_transient_errors_while_waiting_are_retried(
    platform: Platform, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    platform.faults[RUNS] = [500, 503, "reset", "slow"]
    told = submit(platform, "--wait")
    assert (told.code, told.error) == (0, "")
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text.endswith("; retrying") and "\n" not in text for text in warnings] == [True] * 4


@pytest.mark.parametrize(
    ("path", "fault", "code", "message"),
    [
        (
            "healthz",
            401,
            1,
            "the API does not accept the login (401, upstream connect error); ask the platform's administrator",
        ),
        ("healthz", "loop", 1, "the API does not accept the login (302); ask the platform's administrator"),
        ("healthz", 404, 1, "no Kubeflow Pipelines API at this address (found 404); check KUBEFLOW_ENDPOINT"),
        (
            "healthz",
            "web page",
            1,
            "no Kubeflow Pipelines API at this address (found a web page); check KUBEFLOW_ENDPOINT",
        ),
        ("healthz", 503, 1, "answers 503 upstream connect error; try again"),
        (
            "experiments",
            "no permission",
            2,
            f"namespace '{PROFILE}' (from the dashboard; set KUBEFLOW_NAMESPACE for another one)",
        ),
        ("experiments", 403, 1, "refuses with 403"),
        ("experiments", 404, 1, "refuses with 404 (upstream connect error)"),
        ("experiments", 409, 1, "refuses with 409"),
        ("experiments", 500, 1, "answers 500"),
        ("experiments", "reset", 1, "the connection broke"),
        ("experiments", "slow", 1, "no answer within 2 s"),
        (
            "runs",
            "no right",
            1,
            "refuses with 403 (RBAC: access denied); check KUBEFLOW_NAMESPACE and your rights there",
        ),
    ],
)
def test_error_before_a_run_is_one_line(
    platform: Platform, submit: Submit, path: str, fault: Fault, code: int, message: str
) -> None:
    platform.faults[f"/apis/v2beta1/{path}"] = [fault] * 2
    told = submit(platform)
    assert told.code == code
    (line,) = told.error.splitlines()
    assert message in line
    assert platform.api.runs == []


def test_wrong_password_is_one_line(platform: Platform, submit: Submit) -> None:
    told = submit(platform, KUBEFLOW_PASSWORD="guess")
    assert (told.code, len(told.error.splitlines())) == (2, 1)
    assert "wrong user name or password" in told.error


def test_wrong_connector_is_one_line(platform: Platform, submit: Submit) -> None:
    told = submit(platform, KUBEFLOW_CONNECTOR="ldap")
    assert told.code == 2
    assert told.error == "error: KUBEFLOW_CONNECTOR=ldap: the login does not offer it; use one of local\n"


@pytest.mark.parametrize("path", ["/pipeline/", "/dex/auth"])
def test_endless_redirects_are_one_line(platform: Platform, submit: Submit, path: str) -> None:
    platform.faults[path] = ["loop"]
    told = submit(platform)
    assert told.code == 1
    (line,) = told.error.splitlines()
    assert "the login redirects in a circle; check that KUBEFLOW_ENDPOINT" in line


@pytest.mark.parametrize(
    "login", [{}, {"KUBEFLOW_TOKEN": TOKEN, "KUBEFLOW_NAMESPACE": PROFILE}], ids=["password", "token"]
)
def test_unknown_authority_needs_a_ca_bundle(login: dict[str, str], submit: Submit, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(tls=context) as platform:
        refused = submit(platform, **login)
        assert (refused.code, refused.error.count("certificate is not trusted")) == (1, 1)
        assert platform.seen == []
        assert submit(platform, "--ca-bundle", str(tmp_path / "ca.pem"), **login).code == 0
        assert submit(platform, "--insecure", **login).code == 0
        assert len(platform.api.runs) == 2


def test_tracebacks_contain_no_secret(platform: Platform) -> None:
    workspace = open_remote(RemoteSettings(platform.endpoint, Login(USERNAME, SecretStr(PASSWORD)), PROFILE, ""))
    for fault in ("cookie", "reset", 401, 401, 403):
        platform.faults[RUNS].append(fault)
    for _ in range(3):
        with pytest.raises(PlatformError) as caught:
            workspace.client.get_run("a")
        assert secrets_in("".join(traceback.format_exception(caught.value)), repr(caught.value)) == []

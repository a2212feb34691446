"""Runs, schedules and uploads on a simulated platform."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.options import PIPELINE_FILE
from tests.pipeline.remote.argo import Task
from tests.pipeline.remote.command import Command, no_secret_in_command_lines, run, secrets_in
from tests.pipeline.remote.conftest import LOGIN, Submit, inputs
from tests.pipeline.remote.gateways import (
    LDAP_PASSWORD,
    LDAP_USERNAME,
    PASSWORD,
    PROFILE,
    TOKEN,
    USERNAME,
    LoginOptions,
)
from tests.pipeline.remote.platform_server import Platform, serving
from tests.pipeline.remote.runs_api import Moment

pytestmark = pytest.mark.slow  # many of these tests start processes or wait


def test_run_is_created_in_its_experiment_and_its_address_is_printed(platform: Platform, tmp_path: Path) -> None:
    arguments = ("--param", "max_epochs=3", "--param", "lrs=[0.1]", "--run-name", "first", "--skip-preflight")
    with no_secret_in_command_lines():
        told = run(tmp_path, "--remote", "--image-tag", "1.0", *arguments, KUBEFLOW_ENDPOINT=platform.endpoint, **LOGIN)
    assert (told.code, told.error) == (0, "")
    (created,), (experiment,) = platform.api.runs, platform.api.experiments
    assert created["display_name"] == "first"
    assert created["experiment_id"] == experiment["experiment_id"]
    assert (experiment["display_name"], experiment["namespace"]) == ("columbus-eclss-ad", PROFILE)
    assert created["runtime_config"]["parameters"] == {"max_epochs": 3, "lrs": [0.1]}
    images = {
        executor["container"]["image"]
        for executor in created["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"].values()
    }
    assert images == {"columbus-eclss-ad:1.0"}
    assert secrets_in(str(created)) == []
    assert told.out.splitlines() == [
        "run: first",
        f"{platform.endpoint}/_/pipeline/?ns={PROFILE}#/runs/details/{created['run_id']}",
    ]


def test_second_run_uses_the_experiment_and_no_cache_if_asked(platform: Platform, submit: Submit) -> None:
    assert submit(platform, "--experiment", "tuning").code == 0
    assert submit(platform, "--experiment", "tuning", "--no-cache").code == 0
    assert [experiment["display_name"] for experiment in platform.api.experiments] == ["tuning"]
    cached, uncached = (str(run["pipeline_spec"]).count("'enableCache': True") for run in platform.api.runs)
    assert cached > 5
    assert uncached < 5  # the loops, conditions and nested pipelines, which are no steps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--param", "max_epoch=3"), "unknown pipeline parameter 'max_epoch'"),
        (("--param", "max_epochs=many"), "'max_epochs' is 'many': Input should be a valid integer"),
        (("--wait", "--upload"), "exclude each other"),
        (("--image-tag", "feature/x"), "'feature/x' is not a valid image tag"),
    ],
)
def test_invalid_arguments_are_rejected_before_any_request(
    platform: Platform, submit: Submit, arguments: tuple[str, ...], message: str
) -> None:
    told = submit(platform, *arguments)
    assert told.code == 2
    (line,) = told.error.splitlines()
    assert message in line
    assert platform.seen == []


def test_environment_takes_precedence_over_the_env_file(platform: Platform, command: Command, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"KUBEFLOW_ENDPOINT={platform.endpoint}/\nKUBEFLOW_USERNAME={USERNAME}\nKUBEFLOW_PASSWORD='{PASSWORD}'\n"
        "KUBEFLOW_NAMESPACE=elsewhere\n"
    )
    told = command("--remote", "--skip-preflight", "--image-tag", "1.0", KUBEFLOW_NAMESPACE="team")
    assert (told.code, told.error) == (0, "")
    assert platform.api.experiments[0]["namespace"] == "team"


def test_missing_settings_are_named(platform: Platform, submit: Submit) -> None:
    told = submit(platform, KUBEFLOW_PASSWORD="", KUBEFLOW_USERNAME="")
    assert told.code == 2
    assert "KUBEFLOW_USERNAME (login at Kubeflow), KUBEFLOW_PASSWORD" in told.error


def test_inaccessible_namespace_is_rejected_with_a_list_of_own_ones(platform: Platform, submit: Submit) -> None:
    told = submit(platform, KUBEFLOW_NAMESPACE="elsewhere")
    assert (told.code, platform.api.runs) == (2, [])
    assert told.error == (
        "error: namespace 'elsewhere' (KUBEFLOW_NAMESPACE) does not exist or is not accessible to this user; "
        "set KUBEFLOW_NAMESPACE to one of kubeflow-user-example-com, team\n"
    )


def test_token_instead_of_a_login(platform: Platform, submit: Submit) -> None:
    told = submit(platform, KUBEFLOW_TOKEN=TOKEN, KUBEFLOW_NAMESPACE="team")
    assert (told.code, platform.gateway.logins) == (0, 0), told.error
    told = submit(platform, KUBEFLOW_TOKEN="old", KUBEFLOW_NAMESPACE="team")
    assert told.code == 1
    assert told.error == (
        f"error: {platform.endpoint}: the API does not accept the login (401, Jwt issuer is not configured); renew "
        "KUBEFLOW_TOKEN, or use KUBEFLOW_USERNAME and KUBEFLOW_PASSWORD; tokens of Kubernetes are accepted only if "
        "oauth2-proxy is installed with overlay m2m-dex-and-kind or m2m-dex-and-eks\n"
    )
    platform.gateway.options.refused_token = "Jwt is expired"
    told = submit(platform, KUBEFLOW_TOKEN="old", KUBEFLOW_NAMESPACE="team")
    assert "(401, Jwt is expired); renew KUBEFLOW_TOKEN\n" in told.error


def test_ldap_connector(submit: Submit) -> None:
    connectors = {"local": {USERNAME: PASSWORD}, "ldap": {LDAP_USERNAME: LDAP_PASSWORD}}
    with serving(LoginOptions(connectors=connectors)) as platform:
        names = {"KUBEFLOW_USERNAME": LDAP_USERNAME, "KUBEFLOW_PASSWORD": LDAP_PASSWORD}
        told = submit(platform, KUBEFLOW_CONNECTOR="ldap", **names)
        assert told.code == 0, told.error
        assert platform.api.experiments[0]["namespace"] == "anna"


def test_single_user_platform_gets_no_namespace_and_has_no_dashboard(submit: Submit) -> None:
    with serving(LoginOptions("none")) as platform:
        platform.api.multi_user = False
        told = submit(platform)
        assert told.code == 0, told.error
        assert platform.api.experiments[0]["namespace"] == ""
        assert f"{platform.endpoint}/pipeline/#/runs/details/" in told.out


def test_first_upload_creates_a_pipeline_and_later_ones_versions(platform: Platform, submit: Submit) -> None:
    first = submit(platform, "--upload", "--run-name", "a")
    second = submit(platform, "--upload", "--run-name", "b", "--param", "max_epochs=7")
    (pipeline,), (_, version) = platform.api.pipelines, platform.api.versions
    page = f"{platform.endpoint}/_/pipeline/?ns={PROFILE}#/pipelines/details/{pipeline['pipeline_id']}"
    named = "uploaded: pipeline columbus-eclss-ad-pipeline, version"
    assert (first.code, first.out) == (0, f"{named} columbus-eclss-ad-pipeline\n{page}\n")
    assert second.out == f"{named} b\n{page}/version/{version['pipeline_version_id']}\n"
    assert pipeline["namespace"] == PROFILE
    defaults = next(yaml.safe_load_all(version["yaml"]))["root"]["inputDefinitions"]["parameters"]
    assert (defaults["max_epochs"]["defaultValue"], defaults["namespace"]["defaultValue"]) == (7, "")
    assert secrets_in(version["yaml"]) == []
    again = submit(platform, "--upload", "--run-name", "b")
    assert (again.code, again.error) == (2, "error: a version 'b' exists already; choose another --run-name\n")


def test_default_names_suit_both_kinds_of_pipeline_store(platform: Platform, submit: Submit) -> None:
    platform.api.store = "kubernetes"
    assert [submit(platform, "--upload").code for _ in range(2)] == [0, 0]
    assert [pipeline["name"] for pipeline in platform.api.pipelines] == [Path(PIPELINE_FILE).stem]  # as the UI proposes
    assert platform.api.versions[1]["name"].startswith("columbus-eclss-ad-1.0-")


def test_refused_upload_gives_the_reason_of_the_server(platform: Platform, submit: Submit) -> None:
    platform.api.store = "kubernetes"
    platform.api.versions_refused = "exceeds the 253-character limit"
    told = submit(platform, "--upload")
    assert told.code == 1
    assert "answers 500 exceeds the 253-character limit; try again" in told.error


def test_schedule_is_created_listed_and_disabled_by_name(platform: Platform, submit: Submit) -> None:
    created = submit(platform, "--schedule", "30 3 * * 1", "--run-name", "weekly", "--param", "max_epochs=7")
    (schedule,) = platform.api.schedules
    page = f"{platform.endpoint}/_/pipeline/?ns={PROFILE}#/recurringrun/details/{schedule['recurring_run_id']}"
    assert (created.code, created.out) == (0, f"scheduled: weekly (0 30 3 * * 1)\n{page}\n")
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 30 3 * * 1"
    assert schedule["runtime_config"]["parameters"] == {"max_epochs": 7}
    assert (schedule["max_concurrency"], schedule["no_catchup"]) == (1, True)
    twice = submit(platform, "--schedule", "30 3 * * 1", "--run-name", "weekly")
    assert (twice.code, len(platform.api.schedules)) == (2, 1)
    assert submit(platform, "--list-schedules").out == "weekly\t0 30 3 * * 1\tenabled\n"
    assert submit(platform, "--disable-schedule", "weekly").out == "disabled: weekly\n"
    assert submit(platform, "--disable-schedule", "weekly").out == "already disabled: weekly\n"
    assert submit(platform, "--list-schedules").out == "weekly\t0 30 3 * * 1\tdisabled\n"
    absent = submit(platform, "--disable-schedule", "daily")
    assert absent.code == 2
    assert f"no schedule 'daily' in namespace {PROFILE}; use one of weekly" in absent.error


@pytest.mark.parametrize(
    ("cron", "code", "message"),
    [
        ("0 3 *", 2, "--schedule '0 3 *' does not have five or six fields"),
        ("61 3 * * *", 2, "--schedule '61 3 * * *': '61' is not a valid minute"),
    ],
)
def test_invalid_schedule_is_rejected(platform: Platform, submit: Submit, cron: str, code: int, message: str) -> None:
    told = submit(platform, "--schedule", cron)
    assert told.code == code
    (line,) = told.error.splitlines()
    assert message in line
    assert platform.seen == []


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[tuple[Platform, dict[str, str]]]:
    """The API for a pod: its own token instead of a login."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with serving() as platform:
        variables = {"KF_PIPELINES_SA_TOKEN_PATH": str(token), "KF_PIPELINES_ENDPOINT": platform.endpoint}
        yield platform, {**variables, "KUBEFLOW_NAMESPACE": PROFILE}


def test_run_is_submitted_from_a_notebook(notebook: tuple[Platform, dict[str, str]], command: Command) -> None:
    platform, variables = notebook
    told = command("--image-tag", "1.0", *inputs("s3://data/archives", "s3://data/reports.csv"), **variables)
    assert told.code == 0, told.error
    assert "warning: inputs: not checked" in told.error
    assert "namespace" not in platform.api.runs[0]["runtime_config"]["parameters"]  # pods know it
    assert platform.gateway.logins == 0


def test_failed_run_is_retried_on_request(platform: Platform, submit: Submit) -> None:
    run_id = platform.api.add_run({"display_name": "first"}, PROFILE)["run_id"]
    platform.api.story = [Moment("FAILED", {"fit-scaler": Task("Failed")})]
    again = ("PENDING", "RUNNING", "FAILED", "RUNNING")
    platform.api.after_retry = [[Moment("RUNNING", history=again[:-1]), Moment("SUCCEEDED", history=again)]]
    told = submit(platform, "--retry", run_id, "--wait")
    assert told.code == 0, told.error
    page = f"{platform.endpoint}/_/pipeline/?ns={PROFILE}#/runs/details/{run_id}"
    assert told.out.splitlines()[:3] == [f"retried: {run_id}", page, "the run succeeded"]
    assert (platform.api.retries, len(platform.api.runs)) == (1, 1)


def test_run_that_cannot_be_retried_is_named(platform: Platform, submit: Submit) -> None:
    ids = [platform.api.add_run({"display_name": f"run {number}"}, PROFILE)["run_id"] for number in range(7)]
    absent = submit(platform, "--retry", "of-yesterday")
    latest = ", ".join(f"{ids[number]} (run {number}, PENDING)" for number in (6, 5, 4, 3, 2))
    assert absent.error == (
        f"error: --retry of-yesterday: no such run in namespace {PROFILE}; the latest runs are {latest}\n"
    )
    succeeded = submit(platform, "--retry", ids[0])
    assert succeeded.error == f"error: --retry {ids[0]}: the run is SUCCEEDED; name a run that has failed\n"
    assert (absent.code, succeeded.code, platform.api.retries) == (2, 2, 0)

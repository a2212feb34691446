"""The CronJob that checks for drift."""

from typing import Any

from container_component_src.cli.check_drift import check_drift
from container_component_src.steps.drift import CheckDrift
from container_component_src.steps.shared import PodSettings
from tests.cluster import schemas
from tests.deploy.monitoring.files import documents


def container() -> dict[str, Any]:
    (job,) = documents("drift-cronjob.yaml")
    (found,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_cron_job_is_one_that_kubernetes_accepts() -> None:
    (job,) = documents("drift-cronjob.yaml")
    assert schemas.problems(job) == []
    assert schemas.pod_problems(job["spec"]["jobTemplate"]["spec"]["template"]["spec"]) == []


def test_its_command_is_one_of_the_image() -> None:
    program, (command, *options) = container()["command"], container()["args"]
    assert program == ["python", "container_component_src/main.py"]
    assert command == CheckDrift.command
    arguments = check_drift.make_context(command, options).params
    assert arguments["hours"] == 168
    assert arguments["input"].startswith("s3://")


def test_it_has_the_keys_of_the_object_store() -> None:
    assert container()["envFrom"] == [{"secretRef": {"name": PodSettings().s3_secret}}]

from typing import Any

import pytest

from container_component_src.errors import InputError
from container_component_src.steps.serving import (
    DeployToKserve,
    Hosting,
    QueryModel,
    ServePredictor,
    names_of_mode,
    same_mode,
)
from container_component_src.values import validated


@pytest.mark.parametrize("name", ["", "Eclss", "1eclss", "eclss-", "ec_lss", "e" * 52])
def test_a_name_that_kubernetes_refuses_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' is not a valid service name"):
        validated(DeployToKserve, {"bundle_path": "bundle", "service_name": name})


@pytest.mark.parametrize("name", ["e", "columbus-eclss-ad", "e" * 51])
def test_other_names_are_accepted(name: str) -> None:
    assert validated(DeployToKserve, {"bundle_path": "bundle", "service_name": name}).service_name == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_replicas": 2}, "--max-replicas 1 is below --min-replicas 2"),
        ({"min_replicas": 0}, "--min-replicas 0 needs --deployment-mode Knative"),
        ({"min_replicas": 0, "deployment_mode": "RawDeployment"}, "--min-replicas 0 needs"),
        ({"canary_traffic_percent": 10, "combined": True}, "--canary-traffic-percent needs --deployment-mode Knative"),
        ({"canary_traffic_percent": 10, "deployment_mode": "Knative"}, "--canary-traffic-percent needs --combined"),
        ({"canary_traffic_percent": 101, "deployment_mode": "Knative", "combined": True}, "canary_traffic_percent"),
        ({"deployment_mode": "ModelMesh"}, "deployment_mode"),
        ({"payload_logger": "kserve", "combined": True}, "--payload-logger kserve needs --payload-log"),
        ({"payload_logger": "kserve", "payload_log": "s3://logs"}, "--payload-logger kserve needs --combined"),
        ({"payload_log": "gs://logs"}, "gs://logs: unknown scheme"),
        ({"payload_log": "s3://logs", "payload_log_fraction": 1.1}, "payload_log_fraction"),
    ],
)
def test_hosting_that_kserve_does_not_support_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validated(Hosting, options)


@pytest.mark.parametrize("mode", ["Knative", "Serverless"])
@pytest.mark.parametrize("percent", [0, 100])
def test_knative_divides_traffic_and_scales_to_zero(mode: str, percent: int) -> None:
    options = {"deployment_mode": mode, "combined": True, "min_replicas": 0, "canary_traffic_percent": percent}
    assert validated(Hosting, options).canary_traffic_percent == percent


def test_rows_with_missing_values_are_left_out_or_imputed() -> None:
    with pytest.raises(InputError, match="--skip-missing and --impute-missing exclude each other"):
        validated(QueryModel, {"url": "http://host", "skip_missing": True, "impute_missing": True})


@pytest.mark.parametrize("mode", ["Standard", "RawDeployment", "Knative", "Serverless"])
def test_a_mode_has_two_names(mode: str) -> None:
    first, second = names_of_mode(mode)
    assert first == mode != second
    assert same_mode(first) == same_mode(second)


def test_a_predictor_has_nothing_to_log_but_scaled_rows() -> None:
    with pytest.raises(InputError, match="--payload-log needs --combined"):
        validated(ServePredictor, {"payload_log": "log"})
    assert validated(ServePredictor, {"payload_log": "log", "combined": True}).payload_log == "log"

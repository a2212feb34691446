import json
from pathlib import Path

import pytest

from container_component_src.main import main
from tests.serving.bundles import make_bundle, write_test_dataset


@pytest.fixture
def executor_input(tmp_path: Path) -> str:
    return json.dumps(
        {
            "outputs": {
                "parameters": {"endpoint": {"outputFile": str(tmp_path / "out" / "endpoint")}},
                "outputFile": str(tmp_path / "out" / "executor_output.json"),
            }
        }
    )


def deploy(bundle: Path, test_data: Path | str, executor_input: str) -> int:
    arguments = ["--bundle-path", str(bundle), "--test-df-path", str(test_data), "--service-name", "eclss"]
    arguments += ["--namespace", "ns", "--image", "image:1", "--executor-input", executor_input]
    return main(["deploy_to_kserve", *arguments, "--backend", "local"])


def test_a_deployed_service_is_published(tmp_path: Path, executor_input: str) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "test")
    assert deploy(tmp_path / "bundle", tmp_path / "test", executor_input) == 0
    url = (tmp_path / "out" / "endpoint").read_text()
    assert url.startswith("http://")
    assert url.endswith("/v1/models/eclss:predict")


@pytest.mark.parametrize(
    ("bundle", "test_data", "message"),
    [
        ("bundle", "nothing", "nothing: no such dataset"),
        ("nothing", "", "nothing: no model bundle"),
        ("bundle", "other", "channel 'fan_speed' of the model is missing"),
    ],
)
def test_bad_input_publishes_nothing(
    bundle: str, test_data: str, message: str, tmp_path: Path, executor_input: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "other", channels=("cabin_pressure", "coolant_temperature", "pump"))
    assert deploy(tmp_path / bundle, tmp_path / test_data if test_data else "", executor_input) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()

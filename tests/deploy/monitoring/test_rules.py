"""The alerts: evaluated on sample series by Prometheus's own tool, and described for whoever gets them."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitoring.files import alerts, rules
from tests.programs import program

SAMPLES = Path(__file__).with_name("rules_test.yaml")
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "operation.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the rules as a file of Prometheus, and with the sample series."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    shutil.copy(SAMPLES, tmp_path)
    return tmp_path


def promtool(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [str(program("promtool")), *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def test_the_rules_are_valid(folder: Path) -> None:
    code, told = promtool(folder, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    assert (code, f"{len(alerts())} rules found" in told) == (0, True), told


def test_alerts_fire_on_the_sample_series_as_they_should(folder: Path) -> None:
    code, told = promtool(folder, "test", "rules", SAMPLES.name)
    assert code == 0, told


def test_a_changed_limit_is_noticed(folder: Path) -> None:
    path = folder / "rules.yaml"
    path.write_text(path.read_text().replace("> 0.01", "> 0.05"))
    code, told = promtool(folder, "test", "rules", SAMPLES.name)
    assert (code, "AnomalyServiceErrors" in told) == (1, True)


def test_each_alert_is_tested_where_it_fires_and_where_it_does_not() -> None:
    tested = [case for test in yaml.safe_load(SAMPLES.read_text())["tests"] for case in test["alert_rule_test"]]
    names = {alert["alert"] for alert in alerts()}
    assert {case["alertname"] for case in tested if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in tested if not case.get("exp_alerts")} == names


def test_each_alert_says_how_severe_it_is_and_what_to_do() -> None:
    described = DOCUMENT.read_text(encoding="utf-8")
    for alert in alerts():
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert set(alert["annotations"]) == {"summary", "description"}
        assert f"| `{alert['alert']}` |" in described

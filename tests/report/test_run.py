"""What the report says of the run it belongs to."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

from container_component_src.evaluation.gate import decide
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.run_record import RunRecord
from container_component_src.steps.evaluation import GateLimits
from container_component_src.steps.shared import Origin
from tests.evaluation.cases import Case, write_case
from tests.report.cases import Page, evaluated, report

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RUN = RunRecord(
    id="run-2",
    started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    origin=Origin(title="<Water> loop", config="own.toml", commit=f"{COMMIT}-dirty", image="name:1.0"),
    archives="s3://bucket/archives",
    reports="reports.csv",
    parameters={"beat_baselines": True, "latent_dims": [4], "subsystems": {"*": "rest"}},
)


def page_of(case: Case, run: RunRecord, gate: str = "") -> tuple[Page, dict[str, str]]:
    """Return the report of a run, and the rows of its tables of names and values."""
    (case.out.parent / "run.json").write_text(run.model_dump_json())
    page = report(case, gate=gate, run=str(case.out.parent / "run.json"))
    texts = [text.strip() for text in page.texts if text.strip()]
    return page, dict(itertools.pairwise(texts))


def test_the_report_names_its_run_data_parameters_and_gate(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    gate = decide(evaluated(case), GateLimits(min_composite_f1=0.1, max_false_alarms_per_day=2.5))
    gate.write(str(tmp_path / "gate.json"))
    page, rows = page_of(case, RUN, str(tmp_path / "gate.json"))
    assert page.texts.count("<Water> loop") == 2  # title and heading
    assert "#run" in page.attributes("href")
    expected = {
        "Run": "run-2",
        "Started (UTC)": "2026-01-02 03:04:05",
        "Commit": f"{COMMIT}, with changes that were not committed",
        "Image of the steps": "name:1.0",
        "Configuration": "own.toml",
        "Archives": "s3://bucket/archives",
        "beat_baselines": "true",
        "latent_dims": "[4]",
        "subsystems": "*: rest",
        "Least composite F1": "0.1",
        "Most false alarms a day": "2.5",
        "Must beat the baselines": "no",
    }
    assert {name: rows[name] for name in expected} == expected
    assert {"Period of the data (UTC)", "Rows, channels", "Report written (UTC)"} <= rows.keys()


def test_a_result_of_an_earlier_run_is_told(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    evaluated(case)
    evaluation = tmp_path / "evaluation.json"
    for evaluated_in, told in (("run-1", True), ("run-2", False), ("", False)):
        EvaluationResult.read(str(evaluation)).model_copy(update={"run_id": evaluated_in}).write(str(evaluation))
        _, rows = page_of(case, RUN)
        assert (rows.get("Model evaluated in the earlier run") == evaluated_in) is told


def test_without_a_run_the_report_has_a_neutral_title(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    evaluated(case)
    page = report(case)
    assert page.texts.count("Anomaly detection") == 2
    assert "#run" not in page.attributes("href")

"""Reports of small evaluations, their pages, and alarms."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import AlarmState, ChannelShare
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.page import write_report
from container_component_src.steps.evaluation import VisualizeResults
from tests.evaluation.cases import SECOND, START, Case

TRIALS = 'trial,state,val_loss,latent_dim,hidden_dims\n0,succeeded,42.0,8,"64,32"\n1,succeeded,41.0,16,</script>\n'
LARGEST = 8_500_000


class Page(HTMLParser):
    """Parser that collects tags, texts and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data  # a long script comes in several pieces
        else:
            self.texts.append(data)

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found


def evaluated(case: Case, train_uri: str = "") -> EvaluationResult:
    """Evaluate the model of a case; its report reads the files that this writes."""
    folder = case.out.parent
    alarms = str(folder / "alarms.ndjson")
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out), train_uri, alarms_out_uri=alarms)
    result.write(str(folder / "evaluation.json"))
    return result


def report(case: Case, trials: bool = True, gate: str = "", run: str = "", comparison: str = "") -> Page:
    """Write the report of the files of a case."""
    folder: Path = case.out.parent
    (folder / "trials.csv").write_text(TRIALS)
    summary = write_report(
        VisualizeResults(
            **case.telemetry,
            scores_path=str(case.out),
            evaluation_path=str(folder / "evaluation.json"),
            alarms_path=str(folder / "alarms.ndjson"),
            bundle_path=case.bundle,
            gate_path=gate,
            comparison_path=comparison,
            run_path=run,
            trials_path=str(folder / "trials.csv") if trials else "",
            report_path=str(folder / "report.html"),
        )
    )
    content = (folder / "report.html").read_bytes()
    alarms = len((folder / "alarms.ndjson").read_text().splitlines())
    assert summary == {"bytes": len(content), "events": 2, "alarms": alarms, "trials": 2 if trials else 0}
    assert len(content) < LARGEST
    return Page(content.decode())


def alarm(
    info: BundleInfo, first: int, last: int, events: tuple[str, ...] | None = (), peak_score: float = 20.0
) -> Alarm:
    """Return an alarm from one second of the test data to another, with its peak at its end."""
    start, end = (START + second * SECOND for second in (first, last))
    return Alarm(
        id=f"{first}-{info.version[:8]}", state=AlarmState.CLOSED, start=start, raised=start, end=end, peak=end,
        peak_score=peak_score, threshold=info.calibrated.rule.raise_above, rows=last - first + 1,
        channels=(ChannelShare("fan", 0.7), ChannelShare("<i>pressure</i>", 0.3)), subsystem="ventilation",
        model_version=info.version, events=events,
    )  # fmt: skip

"""Summary of a local run: summary.json, copies of the pages, and a summary on the terminal."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from kfp import dsl
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.local.processes import last_lines
from pipeline.progress import step_table
from pipeline.steps import StepRecord, StepState

PAGE_SUFFIX = ".html"  # by which a browser knows a page; kfp.local names artifacts without a suffix
_RAN = {StepState.SUCCEEDED, StepState.CACHED}


class RunStatus(StrEnum):
    """Final status of a run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


EXIT_CODES = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 1, RunStatus.INTERRUPTED: 130}


@dataclass(frozen=True)
class SummaryRules:
    """Names of the summary's values among the outputs of the steps.

    Attributes:
        metrics_type: Type of the artifacts whose metadata are metrics.
        report: Name of the report artifact, which is a page.
        page_type: Type of the artifacts that are pages for a browser.
        gate: Name of the artifact with the conditions of the deployment.
        model_type: Type of the model artifact; the last one counts.
        deploy_step: Name of the step that deploys the model.
    """

    metrics_type: str = dsl.Metrics.schema_title
    report: str = "report"
    page_type: str = dsl.HTML.schema_title
    gate: str = "gate"
    model_type: str = dsl.Model.schema_title
    deploy_step: str = "deploy_to_kserve"


@dataclass(frozen=True)
class RunSummary:
    """Outcome of a local run.

    Attributes:
        status: Final status.
        pipeline: Name of the pipeline.
        steps: All steps and loop iterations.
        metrics: Metadata of the metrics artifacts by artifact name.
        report: Path of the report; None if this run has not written one.
        earlier_report: Path of the report of an earlier run; None if this run has one.
        gate: Conditions of the deployment and whether the model meets them; None if they were not checked.
        model: Path of the model.
        artifacts: Paths of the artifacts by name; in a loop, that of the last iteration. Pages are those in `last_run`.
        pages: Files of the pages to copy to `last_run`, by the name of the artifact.
        deployed: Whether this run deployed the model.
        message: Reason of a failure that no step explains.
        last_run: Folder with summary.json, the copies of the pages and the logs.
    """

    status: RunStatus
    pipeline: str
    steps: tuple[StepRecord, ...]
    metrics: dict[str, dict[str, Any]]
    report: Path | None
    earlier_report: Path | None
    gate: dict[str, Any] | None
    model: str | None
    artifacts: dict[str, str]
    pages: dict[str, Path]
    deployed: bool
    message: str
    last_run: Path

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0 for succeeded, 1 for failed, 130 for interrupted."""
        return EXIT_CODES[self.status]


def summarize(
    *,
    status: RunStatus,
    pipeline: str,
    records: Sequence[StepRecord],
    message: str,
    last_run: Path,
    rules: SummaryRules,
) -> RunSummary:
    """Return the outcome of a run, collected from the outputs of its steps.

    Args:
        status: Final status of the run.
        pipeline: Name of the pipeline.
        records: Steps of the run, which have all ended.
        message: Reason of a failure that no step explains.
        last_run: Folder for summary.json, the copies of the pages and the logs.
        rules: Names of the summary's values among the outputs.
    """
    metrics: dict[str, dict[str, Any]] = {}
    paths: dict[str, str] = {}
    artifacts: dict[str, str] = {}
    pages: dict[str, Path] = {}
    for name, artifact in _artifacts(records):
        artifacts[name] = artifact.uri
        if artifact.schema_title == rules.page_type:
            pages[name] = Path(artifact.uri)
            artifacts[name] = str(last_run / f"{name}{PAGE_SUFFIX}")
        paths[artifact.schema_title] = artifact.uri
        if artifact.schema_title == rules.metrics_type:
            metrics.setdefault(name, {}).update(artifact.metadata)
    report = last_run / f"{rules.report}{PAGE_SUFFIX}"
    gate = artifacts.get(rules.gate)
    return RunSummary(
        status=status,
        pipeline=pipeline,
        steps=tuple(records),
        metrics=metrics,
        report=report if rules.report in pages else None,
        earlier_report=report if rules.report not in pages and report.exists() else None,
        gate=json.loads(Path(gate).read_text(encoding="utf-8")) if gate else None,
        model=paths.get(rules.model_type),
        artifacts=artifacts,
        pages=pages,
        deployed=any(r.planned.name == rules.deploy_step and r.state is StepState.SUCCEEDED for r in records),
        message=message,
        last_run=last_run,
    )


def write_summary(summary: RunSummary) -> None:
    """Write summary.json and the copies of the pages atomically."""
    for name, page in summary.pages.items():
        temporary = summary.last_run / f"{name}{PAGE_SUFFIX}.tmp"
        shutil.copyfile(page, temporary)
        temporary.replace(summary.artifacts[name])
    document = {
        "status": summary.status,
        "pipeline": summary.pipeline,
        "message": summary.message,
        "steps": [
            {
                "name": step.name,
                "status": step.state,
                "seconds": round(step.seconds, 3),
                "cached": step.state is StepState.CACHED,
                "peak_rss_mib": step.peak_rss_mib,
                "log": _text(step.log),
                "message": step.message,
            }
            for step in summary.steps
        ],
        "metrics": {name: dict(sorted(values.items())) for name, values in summary.metrics.items()},
        "report": _text(summary.report),
        "earlier_report": _text(summary.earlier_report),
        "gate": summary.gate,
        "model": summary.model,
        "artifacts": summary.artifacts,
        "deployed": summary.deployed,
    }
    temporary = summary.last_run / "summary.json.tmp"
    temporary.write_text(json.dumps(document, indent=2), encoding="utf-8")
    temporary.replace(summary.last_run / "summary.json")


def print_summary(summary: RunSummary, console: Console) -> None:
    """Print the outcome of a run: steps, failures, metrics, paths and the next action."""
    console.print(step_table(summary.steps))
    for step in summary.steps:
        if step.state is StepState.FAILED:
            _print_failure(step, console)
    if summary.metrics:
        console.print(_metrics_table(summary.metrics))
    style = "bold green" if summary.status is RunStatus.SUCCEEDED else "bold red"
    console.print(Text(f"{summary.pipeline} {summary.status}", style=style))
    if summary.message:
        console.print(Text(summary.message, style="red"), soft_wrap=True)
    for label, value in _paths(summary):
        console.print(Text(f"{label:>10}  {value}"), soft_wrap=True)


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _artifacts(records: Sequence[StepRecord]) -> Iterator[tuple[str, dsl.Artifact]]:
    for record in records:
        if record.state not in _RAN:
            continue
        for name, value in record.outputs.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dsl.Artifact):
                    yield name, item


def _print_failure(step: StepRecord, console: Console) -> None:
    console.print(Text(f"{step.name} failed: {step.message}", style="bold red"), soft_wrap=True)
    if step.log is not None:
        tail = Text.from_ansi("\n".join(last_lines(step.log, 15)))
        console.print(Panel(tail, title=f"last lines of {step.log.name}", title_align="left", border_style="red"))
        console.print(Text(f"{'whole log':>10}  {step.log}"), soft_wrap=True)


def _metrics_table(metrics: dict[str, dict[str, Any]]) -> Table:
    """Return a table with one row per metric; `x_low` and `x_high` become the interval of `x`.

    An artifact that has intervals shows the metrics with one, which are the main ones; `summary.json` has all.
    """
    table = Table("metric", show_edge=False, pad_edge=False)
    for column in ("value", "interval"):
        table.add_column(column, justify="right")
    for artifact, values in metrics.items():
        bounds = {name: (f"{name}_low", f"{name}_high") for name in values}
        intervals = {name: pair for name, pair in bounds.items() if {*pair} <= {*values}}
        for name in sorted(intervals or values):
            label = f"{artifact}: {name}" if len(metrics) > 1 else name
            interval = " to ".join(_number(values[bound]) for bound in intervals.get(name, ()))
            table.add_row(Text(label), _number(values[name]), interval)
    return table


def _number(value: object) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _paths(summary: RunSummary) -> Iterator[tuple[str, object]]:
    if summary.report is not None:
        yield "report", summary.report
    elif summary.earlier_report is not None:
        written = datetime.fromtimestamp(summary.earlier_report.stat().st_mtime).astimezone()
        yield "report", f"{summary.earlier_report} (of an earlier run, {written:%Y-%m-%d %H:%M})"
    if summary.model is not None:
        yield "model", f"{summary.model} ({'deployed' if summary.deployed else 'not deployed'})"
    for condition in (summary.gate or {}).get("conditions", ()):
        yield "gate", f"{'passed' if condition['passed'] else 'failed'}: {condition['text']}"
    yield "logs", summary.last_run / "logs"
    yield "summary", summary.last_run / "summary.json"
    if summary.status is RunStatus.FAILED:
        yield "next", "fix the cause and run again; with caching, steps that succeeded are not repeated"
    elif summary.status is RunStatus.INTERRUPTED:
        yield "next", "run again; with caching, steps that succeeded are not repeated"
    elif summary.report is not None:
        yield "next", "open the report in a browser, and call the model with `make serve`"

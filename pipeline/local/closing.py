"""What a local run prints when it has ended."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from container_component_src.backends.local.processes import LOOPBACK
from container_component_src.steps.serving import HTTP_PORT
from pipeline.local.processes import last_lines
from pipeline.local.summary import RunStatus, RunSummary
from pipeline.outcome import Outcome, from_here, promotion, query_command, service_name
from pipeline.progress import step_table
from pipeline.run_folders import LOGS, SUMMARY
from pipeline.steps import StepRecord, StepState

_DEFAULT_CONFIG = "config.toml"


def print_summary(summary: RunSummary, console: Console, removed: Sequence[str] = ()) -> None:
    """Print the outcome of a run: steps, failures, and its last lines.

    Args:
        summary: The outcome.
        console: Where to print.
        removed: IDs of earlier runs whose reports and logs were removed.
    """
    console.print(step_table(summary.steps))
    for step in summary.steps:
        if step.state is StepState.FAILED:
            _print_failure(step, console)
    style = "bold green" if summary.status is RunStatus.SUCCEEDED else "bold red"
    console.print(Text(f"{summary.pipeline} {summary.status}", style=style))
    if summary.message:
        console.print(Text(summary.message, style="red"), soft_wrap=True)
    for line in outcome_of(summary).lines():
        console.print(Text(line), soft_wrap=True)
    if removed:
        message = f"report and logs of {', '.join(removed)} ([paths] kept_runs of the configuration)"
        console.print(Text(f"{'removed':>12}  {message}"), soft_wrap=True)


def _print_failure(step: StepRecord, console: Console) -> None:
    console.print(Text(f"{step.name} failed: {step.message}", style="bold red"), soft_wrap=True)
    if step.log is not None:
        tail = Text.from_ansi("\n".join(last_lines(step.log, 15)))
        console.print(Panel(tail, title=f"last lines of {step.log.name}", title_align="left", border_style="red"))
        console.print(Text(f"{'whole log':>12}  {step.log}"), soft_wrap=True)


def outcome_of(summary: RunSummary) -> Outcome:
    """Return what the last lines of a run tell."""
    conditions = (summary.gate or {}).get("conditions", ())
    deployed = "deployed" if summary.deployed else "not deployed"
    return Outcome(
        headline=summary.headline,
        gate=[f"{'passed' if condition['passed'] else 'failed'}: {condition['text']}" for condition in conditions],
        promotion=promotion(summary.comparison["promoted"], summary.comparison["reason"]) if summary.comparison else "",
        report=_report(summary),
        model=f"{from_here(Path(summary.model))} ({deployed})" if summary.model else "",
        query=_query(summary),
        rest=f"{from_here(summary.folder / SUMMARY)}; logs in {from_here(summary.folder / LOGS)}",
        next_step=_next(summary),
    )


def _query(summary: RunSummary) -> str:
    """Return how to query the model; runs in containers have a folder that `make serve` does not look into."""
    origin = summary.run.get("origin", {})
    if summary.status is not RunStatus.SUCCEEDED or not summary.model or origin.get("image"):
        return ""
    options = shlex.join(["--config", origin.get("config", _DEFAULT_CONFIG)])
    serve = "make serve" + ("" if options == f"--config {_DEFAULT_CONFIG}" else f" ARGS={shlex.quote(options)}")
    name = service_name(summary.run.get("parameters", {}))
    query = query_command(f"http://{LOOPBACK}:{HTTP_PORT}", name, from_here(summary.folder / "request.json"))
    return f"{serve}, and in another terminal: {query}"


def _report(summary: RunSummary) -> str:
    if summary.report is not None:
        return from_here(summary.report)
    if summary.earlier_report is None:
        return ""
    written = datetime.fromtimestamp(summary.earlier_report.stat().st_mtime).astimezone()
    return f"{from_here(summary.earlier_report)} (of an earlier run, {written:%Y-%m-%d %H:%M})"


def _next(summary: RunSummary) -> str:
    again = "run again; with caching, steps that succeeded are not repeated"
    if summary.status is RunStatus.FAILED:
        return f"fix the cause and {again}"
    return again if summary.status is RunStatus.INTERRUPTED else ""

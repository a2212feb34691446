"""Summary of a local run: summary.json, and copies of the pages."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from kfp import dsl

from container_component_src.steps.serving import DeployToKserve
from pipeline.run_folders import PAGE_SUFFIX, SUMMARY
from pipeline.steps import StepRecord, StepState

_EXTENT = ("start", "end", "rows", "channels")  # of the data, in the metadata of a dataset
_RAN = {StepState.SUCCEEDED, StepState.CACHED}


class RunStatus(StrEnum):
    """Final status of a run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


EXIT_CODES = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 1, RunStatus.INTERRUPTED: 130}


@dataclass(frozen=True)
class RunSummary:
    """Outcome of a local run.

    Attributes:
        status: Final status.
        pipeline: Name of the pipeline.
        run: Identity of the run: ID, start and end; from its first step also what it was compiled from, its parameters
            and its data.
        steps: All steps and loop iterations.
        headline: Metrics for the terminal, each as `name: text`.
        metrics: Metadata of the metrics artifacts by artifact name.
        report: Path of the report; None if this run has not written one.
        earlier_report: Path of the last report of an earlier run; None if this run has one.
        gate: Conditions of the deployment and whether the model meets them; None if they were not checked.
        comparison: Comparison with the deployed model, and whether the model replaces it; None if there was none.
        model: Path of the model.
        artifacts: Paths of the artifacts by name; in a loop, that of the last iteration. Pages are those in `folder`.
        pages: Files of the pages to copy to `folder`, by the name of the artifact.
        deployed: Whether this run deployed the model.
        message: Reason of a failure that no step explains.
        folder: Folder with summary.json, the copies of the pages and the logs.
    """

    status: RunStatus
    pipeline: str
    run: dict[str, Any]
    steps: tuple[StepRecord, ...]
    headline: tuple[str, ...]
    metrics: dict[str, dict[str, Any]]
    report: Path | None
    earlier_report: Path | None
    gate: dict[str, Any] | None
    comparison: dict[str, Any] | None
    model: str | None
    artifacts: dict[str, str]
    pages: dict[str, Path]
    deployed: bool
    message: str
    folder: Path

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0 for succeeded, 1 for failed, 130 for interrupted."""
        return EXIT_CODES[self.status]


def summarize(
    *,
    status: RunStatus,
    pipeline: str,
    run_id: str,
    started: datetime,
    records: Sequence[StepRecord],
    message: str,
    folder: Path,
    earlier_report: Path | None,
) -> RunSummary:
    """Return the outcome of a run, collected from the outputs of its steps.

    Args:
        status: Final status of the run.
        pipeline: Name of the pipeline.
        run_id: ID of the run, which ends now.
        started: Its start.
        records: Steps of the run, which have all ended.
        message: Reason of a failure that no step explains.
        folder: Folder for summary.json, the copies of the pages and the logs.
        earlier_report: Path of the last report of an earlier run; None if there is none.
    """
    written = list(_artifacts(records))
    found = dict(written)
    pages = {
        name: Path(artifact.uri) for name, artifact in found.items() if artifact.schema_title == dsl.HTML.schema_title
    }
    copies = {name: str(folder / f"{name}{PAGE_SUFFIX}") for name in pages}
    artifacts = {name: artifact.uri for name, artifact in found.items()} | copies
    identity, gate, comparison = (
        _read(artifacts[name]) if name in artifacts else None for name in ("run", "gate", "comparison")
    )
    return RunSummary(
        status=status,
        pipeline=pipeline,
        run={**_times(run_id, started), **(identity or {}), "data": _extent(found.get("dataset"))},
        steps=tuple(records),
        headline=tuple(_output(records, "headline").splitlines()),
        metrics=_metrics(written),
        report=Path(copies["report"]) if "report" in copies else None,
        earlier_report=None if "report" in pages else earlier_report,
        gate=gate,
        comparison=comparison,
        model=next((item.uri for _, item in reversed(written) if item.schema_title == dsl.Model.schema_title), None),
        artifacts=artifacts,
        pages=pages,
        deployed=any(r.planned.name == DeployToKserve.command and r.state is StepState.SUCCEEDED for r in records),
        message=message,
        folder=folder,
    )


def write_summary(summary: RunSummary) -> None:
    """Write summary.json and the copies of the pages atomically."""
    for name, page in summary.pages.items():
        temporary = summary.folder / f"{name}{PAGE_SUFFIX}.tmp"
        shutil.copyfile(page, temporary)
        temporary.replace(summary.artifacts[name])
    written = [_written_bytes(step) for step in summary.steps]
    document = {
        "status": summary.status,
        "pipeline": summary.pipeline,
        "run": summary.run,
        "message": summary.message,
        "steps": [
            {
                "name": step.name,
                "status": step.state,
                "seconds": round(step.seconds, 3),
                "cached": step.state is StepState.CACHED,
                "peak_rss_mib": step.peak_rss_mib,
                "written_bytes": size,
                "log": _text(step.log),
                "message": step.message,
            }
            for step, size in zip(summary.steps, written, strict=True)
        ],
        "written_bytes": sum(written),
        "metrics": {name: dict(sorted(values.items())) for name, values in summary.metrics.items()},
        "report": _text(summary.report),
        "earlier_report": _text(summary.earlier_report),
        "gate": summary.gate,
        "comparison": summary.comparison,
        "model": summary.model,
        "artifacts": summary.artifacts,
        "deployed": summary.deployed,
    }
    temporary = summary.folder / f"{SUMMARY}.tmp"
    temporary.write_text(json.dumps(document, indent=2), encoding="utf-8")
    temporary.replace(summary.folder / SUMMARY)


def _written_bytes(step: StepRecord) -> int:
    """Return the size of the artifacts that a step of this run wrote on this machine."""
    if step.state is not StepState.SUCCEEDED:
        return 0
    written = [Path(artifact.uri) for _, artifact in _artifacts([step])]
    files = [file for path in written for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return sum(file.stat().st_size for file in files)


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


def _read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return document


def _times(run_id: str, started: datetime) -> dict[str, str]:
    """Return ID, start and end of a run that ends now; the starts order the runs of a machine."""
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    return {"id": run_id, "started": started.isoformat(), "ended": ended}


def _metrics(artifacts: Sequence[tuple[str, dsl.Artifact]]) -> dict[str, dict[str, Any]]:
    """Return the metadata of the metrics artifacts by name; several of one name are merged."""
    metrics: dict[str, dict[str, Any]] = {}
    for name, artifact in artifacts:
        if artifact.schema_title == dsl.Metrics.schema_title:
            metrics.setdefault(name, {}).update(artifact.metadata)
    return metrics


def _extent(dataset: dsl.Artifact | None) -> dict[str, Any]:
    """Return the period and the size of a dataset; kfp's metadata have numbers without a fraction as floats, too."""
    metadata = dataset.metadata if dataset else {}
    found = {name: metadata[name] for name in _EXTENT if name in metadata}
    return {name: int(value) if isinstance(value, float) else value for name, value in found.items()}


def _output(records: Sequence[StepRecord], name: str) -> str:
    """Return an output parameter of a step that ran, or an empty text."""
    return next(
        (str(record.outputs[name]) for record in records if record.state in _RAN and name in record.outputs), ""
    )

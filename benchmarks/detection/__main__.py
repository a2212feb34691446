"""Compares the detectors over several data sets; `--help` says more."""

import logging
import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks.detection.datasets import all_of, prepare
from benchmarks.detection.runs import ALARMS, DETECTION, Run, Settings, stored_run
from benchmarks.detection.table import means, table, write
from benchmarks.measure import PROJECT
from container_component_src.errors import PipelineError
from container_component_src.steps.maintenance import EXAMPLE_ROWS

FIRST_SEED = 42
Folder = click.Path(path_type=Path, file_okay=False)


@click.command(context_settings={"max_content_width": 120})
@click.option(
    "--data",
    "root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of folders with archives in telemetry/, anomaly_reports.xlsx and perhaps causes.csv.",
)
@click.option("--only", multiple=True, help="Data sets whose names begin so; all by default. Can be repeated.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Seeds, from 42.")
@click.option(
    "--example-rows",
    type=click.IntRange(0),
    default=EXAMPLE_ROWS // 5,
    show_default=True,
    help="Rows of the generated example, the first ones of both years; 0 for none.",
)
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Parameter of a step that differs from its default. Can be repeated.",
)
@click.option("--label", default="detection", show_default=True, help="Name of the files of the results.")
@click.option(
    "--work-dir",
    type=Folder,
    default=PROJECT / "local_data" / "benchmarks" / "detection",
    help="Folder for prepared data, which is used again.  [default: local_data/benchmarks/detection]",
)
@click.option(
    "--results-dir",
    type=Folder,
    default=PROJECT / "benchmarks" / "results",
    help="Folder for the results.  [default: benchmarks/results]",
)
def detection(
    root: Path | None,
    only: tuple[str, ...],
    seeds: int,
    example_rows: int,
    parameters: tuple[str, ...],
    label: str,
    work_dir: Path,
    results_dir: Path,
) -> None:
    """Run every detector and baseline over data sets, print two tables, and write them as JSON, CSV and Markdown.

    Each run has a file in the folder `detection_runs` of the results, so that a benchmark that was interrupted goes on.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)
    runs_dir = results_dir / "detection_runs"
    runs_dir.mkdir(parents=True, exist_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 200)
    runs: list[Run] = []
    try:
        settings = Settings(dict(_pair(text) for text in parameters))
        sources = [source for source in all_of(root, work_dir, example_rows) if source.name.startswith(only or "")]
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            for source in sources:
                runs.append(stored_run(prepare(source, work_dir), seed, settings, runs_dir))
                console.print(_line(runs[-1]), soft_wrap=True)
    except PipelineError as error:
        raise click.ClickException(str(error)) from error
    if not runs:
        raise click.UsageError("no data set is left; change --data, --only or --example-rows")
    summary = means(runs)
    for metrics in (DETECTION, ALARMS):
        console.print(table(summary, metrics))
    write(runs, summary, results_dir / label)
    console.print(f"written: {results_dir / label}.json (and .csv, .md)", soft_wrap=True)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
    return name, value


def _line(run: Run) -> str:
    areas = ", ".join(f"{name} {values['vus_pr']:.3f}" for name, values in run["detectors"].items())
    seconds = sum(run["cpu_seconds"].values())
    return f"{run['data']}, seed {run['seed']}: {seconds:.0f} s of CPU; best epoch {run['best_epoch']}; VUS-PR {areas}"


if __name__ == "__main__":
    detection()

"""Measures every stage on generated telemetry of several sizes: time, memory, and how far each is from its floor."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import click
import psutil
from rich.console import Console

from benchmarks.floors import in_new_process
from benchmarks.measure import PROJECT, Usage, run_command
from benchmarks.plot import write_plot
from benchmarks.results import Results, StageResult
from benchmarks.stages import STAGES, Stage
from benchmarks.table import detail_table, growth_table, stage_table
from benchmarks.workspace import Workspace
from container_component_src.errors import PipelineError

TINY_ROWS = 2_000  # enough for every stage to work, too few to take time
MANY_ROWS = 1_000_000  # more are measured once
FEW_ROWS = 100_000  # fewer are a trial of the benchmark itself, and measured once
REPEATS = 3
SERVING_REQUESTS, SERVING_ROUNDS = 100, 10
SOAK_SECONDS, SHORT_SOAK_SECONDS = 600.0, 10.0
GIBIBYTE = 2**30


class Sizes(click.ParamType[list[int]]):
    """Whole numbers with commas between them."""

    name = "n,n,…"

    def convert(self, value: str | list[int], param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Parse, refusing what is below the tiny size that start-ups are measured with."""
        if isinstance(value, list):
            return value
        parts = [part.strip().replace("_", "") for part in value.split(",")]
        for part in parts:
            if not part.isdecimal() or int(part) < TINY_ROWS:
                self.fail(f"{part!r} is not a whole number of at least {TINY_ROWS}", param, ctx)
        return sorted({int(part) for part in parts})


@click.command(context_settings={"max_content_width": 120})
@click.option("--rows", type=Sizes(), default="100000,1000000,10000000", show_default=True, help="Sizes to measure.")
@click.option("--channels", type=click.IntRange(1, 220), default=181, show_default=True, help="Float channels.")
@click.option("--epochs", type=click.IntRange(1), default=2, show_default=True, help="Epochs of the training.")
@click.option("--repeats", type=click.IntRange(1), help="Runs of each stage; 3 by default, 1 above a million rows.")
@click.option("--soak-seconds", type=float, help="Load on the servers; 600 by default, 10 below 100,000 rows.")
@click.option("--until", type=click.Choice([stage.name for stage in STAGES]), help="Stop after this stage.")
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=PROJECT / "local_data" / "benchmarks",
    help="Folder for the data, which is deleted again.  [default: local_data/benchmarks]",
)
@click.option(
    "--results-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=PROJECT / "benchmarks" / "results",
    help="Folder for the results.  [default: benchmarks/results]",
)
def bench(
    rows: list[int],
    channels: int,
    epochs: int,
    repeats: int | None,
    soak_seconds: float | None,
    until: str | None,
    work_dir: Path,
    results_dir: Path,
) -> None:
    """Measure every stage, print tables, and write the results as JSON, as Markdown and as a plot."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    stages = STAGES[: [stage.name for stage in STAGES].index(until) + 1] if until else STAGES
    now = datetime.now().astimezone()
    results = Results(now.isoformat(timespec="seconds"), machine(), {"channels": channels, "epochs": epochs})
    output = results_dir / f"{now:%Y-%m-%d-%H%M}.json"
    work_dir.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=work_dir) as folder:
            sizes = [Workspace(Path(folder) / str(size), size, channels, epochs) for size in rows]
            check_disk(sizes[-1], work_dir)
            tiny = Workspace(Path(folder) / "tiny", TINY_ROWS, channels, epochs)
            for work in sizes:
                measure_size(stages, work, tiny, repeats or default_repeats(work.rows), results, console)
                save(results, output)
                shutil.rmtree(work.root)
        if not until:
            soak = soak_seconds or (SOAK_SECONDS if rows[-1] >= FEW_ROWS else SHORT_SOAK_SECONDS)
            results.details += in_new_process("benchmarks.serving:measure", SERVING_REQUESTS, SERVING_ROUNDS, soak)
            save(results, output)
    except PipelineError as error:
        raise click.ClickException(str(error)) from error
    for table in (stage_table(results.stages), growth_table(results.growth()), detail_table(results.details)):
        console.print(table)
    console.print(f"written: {output} (and .md, .html)", soft_wrap=True)


def default_repeats(rows: int) -> int:
    """How often a stage runs at a size."""
    return REPEATS if FEW_ROWS <= rows <= MANY_ROWS else 1


def measure_size(
    stages: Sequence[Stage],
    work: Workspace,
    tiny: Workspace,
    repeats: int,
    results: Results,
    console: Console,
) -> None:
    """Run all stages at one size and delete what no later stage needs.

    Start-up on tiny data, stage and floor take turns, so that a change of the machine's speed meets all of them.
    """
    for stage in stages:
        startups, usages, floors = [], [], []
        for _ in range(repeats):
            startups.append(run_stage(stage, tiny))
            usages.append(run_stage(stage, work))
            floors.append(stage.floor(work))
        result = summarize(stage.name, work.rows, startups, usages, floors)
        results.stages.append(result)
        results.details += stage.measure_details(work)
        work.remove(*stage.obsolete)
        console.print(f"{work.rows:,} rows, {stage.name}: {result.seconds:.2f} s, floor {result.floor_seconds:.2f} s")


def run_stage(stage: Stage, work: Workspace) -> Usage:
    """Run the commands of a stage one after the other."""
    work.root.mkdir(exist_ok=True)
    total = Usage(0.0, 0, 0)
    for command in stage.commands(work):
        total += run_command(command, work.root / f"{stage.name}.log")
    return total


def summarize(
    stage: str, rows: int, startups: Sequence[Usage], usages: Sequence[Usage], floors: Sequence[dict[str, float]]
) -> StageResult:
    """Medians of times and peaks of memory over repeats."""
    return StageResult(
        stage=stage,
        rows=rows,
        repeats=len(usages),
        seconds=median(usage.seconds for usage in usages),
        startup_seconds=median(usage.seconds for usage in startups),
        tree_bytes=max(usage.tree_bytes for usage in usages),
        process_bytes=max(usage.process_bytes for usage in usages),
        foreign_cores=median(usage.foreign_seconds / usage.seconds for usage in usages),
        floor={part: median(floor[part] for floor in floors) for part in floors[0]},
    )


def check_disk(work: Workspace, folder: Path) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        ClickException: Too little space is free.
    """
    free = shutil.disk_usage(folder).free
    if free < work.needed_bytes:
        raise click.ClickException(
            f"{folder}: {free / GIBIBYTE:.0f} GiB free, {work.rows:,} rows need {work.needed_bytes / GIBIBYTE:.0f}; "
            "name another folder with --work-dir, or fewer rows with --rows"
        )


def save(results: Results, output: Path) -> None:
    """Write the results so far: JSON, Markdown tables and the plot."""
    results.write(output)
    with output.with_suffix(".md").open("w", encoding="utf-8") as file:
        console = Console(file=file, width=250)
        for table in (
            stage_table(results.stages, markdown=True),
            growth_table(results.growth(), markdown=True),
            detail_table(results.details, markdown=True),
        ):
            console.print(table)
    write_plot(results, output.with_suffix(".html"))


def machine() -> dict[str, str | int | float]:
    """What the results depend on."""
    return {
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / GIBIBYTE),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "pyarrow", "torch")},
    }

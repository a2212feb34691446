"""Costs of a run at sizes that were not measured, from the measured rates: the tables of docs/scale.md.

`python -m benchmarks.scale` writes them into the page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from container_component_src.settings import Limits, Resources
from container_component_src.steps.data import SETS, SplitParquetFile
from container_component_src.steps.declaration import Arguments
from container_component_src.steps.training import RunPyTorchJob
from container_component_src.steps.tuning import RunKatibExperiment
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.partitioning import MAX_GROUP_ROWS
from container_component_src.telemetry.scaling import CHANNELS_AT_ONCE
from container_component_src.telemetry.views import MAX_MANIFEST_BYTES
from container_component_src.values import amount


def _default(step: type[Arguments], name: str) -> int:
    return int(step.model_fields[name].default)


DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS, PAGE = DOCS / "results.md", DOCS / "scale.md"
CHANNELS = 181
ROW_BYTES = 4 * CHANNELS + 8  # noise cannot be compressed
PARTITION_ROWS = MAX_GROUP_ROWS * _default(SplitParquetFile, "rowgroups_per_file")
ARCHIVE_ROWS = 31_557_600  # a year at one row a second
MEASURED_EPOCHS = 2
READ_REQUESTS, WRITE_REQUESTS = 11, 14  # of a partition, counted at an S3 server: 2 HEAD and 9 GET, upload of 12 parts
PLAN_BYTES = 3_730  # of a partition in the step that plans the preprocessing, see `benchmarks.scale_simulation`
PLAN_MIB = 250  # of the same step without partitions
ARGUMENT_BYTES = 131_072  # most of one argument of a Linux process, MAX_ARG_STRLEN
URI_BYTES = 160  # of an archive's partitions in the pipeline's store, with quotes and comma
TRAINED = 0.75  # share of the data in the training and the validation set, as the benchmark splits it
TRIALS, TRIALS_AT_ONCE = _default(RunKatibExperiment, "max_trials"), _default(RunKatibExperiment, "parallel_trials")
TRIAL_EPOCHS = _default(RunKatibExperiment, "max_epochs")
TRAINING_EPOCHS = _default(RunPyTorchJob, "max_epochs")
HOUR = 3600
BEGIN, END = "<!-- computed -->", "<!-- end -->"  # of the tables in the page


@dataclass(frozen=True)
class Measured:
    """One line of the benchmark's table."""

    seconds: float
    startup: float
    mib: float  # peak of all processes


@dataclass(frozen=True)
class Size:
    """Telemetry and the cluster that processes it."""

    rows: int
    workers: int  # Dask workers, and archives that are split at the same time
    nodes: int  # of the training

    @property
    def partitions(self) -> int:
        """Files of a dataset before the split into sets."""
        return -(-self.rows // PARTITION_ROWS)

    @property
    def archives(self) -> int:
        """Yearly archives."""
        return -(-self.rows // ARCHIVE_ROWS)


@dataclass(frozen=True)
class Cost:
    """What one step takes."""

    step: str
    processes: int
    hours: float
    mib: float  # of each process
    read: float  # bytes
    written: float  # bytes
    requests: float


SIZES = (Size(63_000_000, 2, 1), Size(10**9, 16, 4), Size(10**11, 128, 16))
Table = dict[str, dict[int, Measured]]  # by stage and rows


def read_table(text: str) -> Table:
    """Return the benchmark's table of stages from the page of results."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    start = next(index for index, cells in enumerate(lines) if cells[:3] == ["stage", "rows", "seconds"])
    peak = lines[start].index("peak MiB, all")
    table: Table = {}
    for cells in lines[start + 2 :]:
        if len(cells) <= peak or not re.fullmatch(r"[\d,]+", cells[1]):
            break
        seconds, startup, mib = (float(cells[index].replace(",", "")) for index in (2, 3, peak))
        table.setdefault(cells[0], {})[int(cells[1].replace(",", ""))] = Measured(seconds, startup, mib)
    return table


def rate(table: Table, stage: str) -> float:
    """Return the rows that a stage passes in a second beyond its start-up, at the largest measured size."""
    rows, found = max(table[stage].items())
    return rows / (found.seconds - found.startup)


def epoch_rate(table: Table) -> float:
    """Return the rows of telemetry that one node passes in a second of one epoch."""
    return rate(table, "run_training, streaming") * MEASURED_EPOCHS


def row_bytes(table: Table, stage: str) -> float:
    """Return the memory that a stage takes for each row, between the two largest measured sizes."""
    (fewer, less), (rows, more) = sorted(table[stage].items())[-2:]
    return max(0.0, (more.mib - less.mib) * 2**20 / (rows - fewer))


def evaluation_bytes(table: Table) -> float:
    """Return the memory of an evaluation for each row of telemetry."""
    return max(row_bytes(table, stage) for stage in ("run_evaluation", "run_evaluation, baselines"))


def costs(table: Table, size: Size) -> list[Cost]:
    """Return the costs of the steps at a size, in their order."""
    data, files = size.rows * ROW_BYTES, size.partitions
    trials, training, sets = TRIALS * TRIAL_EPOCHS, TRAINING_EPOCHS, len(SETS)
    at_once = min(size.workers, size.archives)

    def cost(
        step: str, stage: str, processes: int, passes: float, copies: tuple[float, float], parts: tuple[int, int]
    ) -> Cost:
        """Copies read and written, and files read and written for each partition."""
        per_second = epoch_rate(table) if stage.startswith("run_training") else rate(table, stage)
        mib = max(table[stage].items())[1].mib
        if stage == "run_evaluation, baselines":
            mib += evaluation_bytes(table) * max(0, size.rows - max(table[stage])) / 2**20
        requests = files * (parts[0] * READ_REQUESTS + parts[1] * WRITE_REQUESTS)
        hours = size.rows * passes / per_second / processes / HOUR
        return Cost(step, processes, hours, mib, copies[0] * data, copies[1] * data, requests)

    streaming = "run_training, streaming"
    return [
        cost("split_parquet_file", "split_parquet_file", at_once, 1, (8 / ROW_BYTES, 0), (1, 0)),
        cost("run_dask_preprocessing", "run_dask_preprocessing", size.workers, 1, (1, 1), (1, 1)),
        cost("label_telemetry", "label_telemetry", 1, 1, (8 / ROW_BYTES, 9 / ROW_BYTES), (1, 1)),
        # Partitions and sets are views, without files; a set is read with the files of the dataset, which have all.
        cost("create_train_val_test_split", "create_train_val_test_split", 1, 1, (8 / ROW_BYTES, 0), (2, 0)),
        cost("fit_scaler", "fit_scaler", 1, 1, (1, 0), (-(-CHANNELS // CHANNELS_AT_ONCE), 0)),
        cost("scale_dataframes", "scale_dataframes", 1, 1, (1, 1), (1, sets)),
        cost("run_katib_experiment", streaming, TRIALS_AT_ONCE, trials, (trials * TRAINED, 0), (2 * trials, 0)),
        cost("run_pytorchjob", streaming, size.nodes, training, (training * TRAINED, 0), (2 * training, 0)),
        cost("run_evaluation", "run_evaluation, baselines", 1, 1, (1, 0), (sets - 1, 1)),
        cost("visualize_results", "visualize_results", 1, 1, (0.02, 0), (1, 0)),
    ]


def manifest_bytes(size: Size) -> int:
    """Return the size of a manifest of one file a partition."""
    name, time = f"part-00000000-{size.partitions:05d}.parquet", 10**18
    last = Partition(file=name, rows=PARTITION_ROWS, start=time, end=time)
    return size.partitions * len(f"  {last.model_dump_json(indent=3)},\n")


def limits(table: Table) -> list[tuple[str, str, float]]:
    """Return what ends first, the setting that ends it, and the rows of telemetry at which it does, fewest first."""
    resources, hours = Resources(), Limits()
    data, light = (amount(pod.memory) / 2**20 for pod in (resources.data, resources.light))
    stage = "run_evaluation, baselines"
    rows, measured = max(table[stage].items())
    slowest = min(("create_train_val_test_split", "scale_dataframes"), key=lambda name: rate(table, name))
    per_partition = manifest_bytes(Size(10**11, 1, 1)) / Size(10**11, 1, 1).partitions
    found = [
        ("memory of the evaluation", "`data.memory`", rows + (data - measured.mib) * 2**20 / evaluation_bytes(table)),
        ("time of a trial", "`trial_hours`", hours.trial_hours * HOUR * epoch_rate(table) / TRIAL_EPOCHS),
        (
            "time of a training, one node",
            "`training_hours`",
            hours.training_hours * HOUR * epoch_rate(table) / TRAINING_EPOCHS,
        ),
        (f"time of `{slowest}`", "`step_hours`", hours.step_hours * HOUR * rate(table, slowest)),
        ("archives in one argument", f"{ARGUMENT_BYTES:,} bytes", ARGUMENT_BYTES / URI_BYTES * ARCHIVE_ROWS),
        ("memory of the Dask client", "`light.memory`", (light - PLAN_MIB) * 2**20 / PLAN_BYTES * PARTITION_ROWS),
        ("size of a manifest", f"{MAX_MANIFEST_BYTES:,} bytes", MAX_MANIFEST_BYTES / per_partition * PARTITION_ROWS),
    ]
    return sorted(found, key=lambda item: item[2])


def tables(table: Table, sizes: Sequence[Size] = SIZES) -> str:
    """Return the tables of the page as Markdown."""
    lines = ["| what ends | by | at rows |", "| --- | --- | ---: |"]
    lines += [f"| {what} | {setting} | {_rounded(rows)} |" for what, setting, rows in limits(table)]
    lines += ["", "| | " + " | ".join(_rounded(size.rows) for size in sizes) + " |", "| --- |" + " ---: |" * len(sizes)]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in _counts(sizes)]
    for size in sizes:
        lines += ["", f"### {_rounded(size.rows)} rows: N = {size.workers}, M = {size.nodes}", ""]
        lines += ["| step | processes | time | MiB of a process | read | written | requests |"]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
        lines += [_row(cost) for cost in costs(table, size)]
    return "\n".join(lines)


def _counts(sizes: Sequence[Size]) -> list[tuple[str, list[str]]]:
    return [
        ("yearly archives at 1 Hz", [f"{size.archives:,}" for size in sizes]),
        ("one copy of the data", [_bytes(size.rows * ROW_BYTES) for size in sizes]),
        ("partitions of the dataset", [f"{size.partitions:,}" for size in sizes]),
        ("files of all datasets, at most", [f"{size.partitions * (3 + len(SETS)):,}" for size in sizes]),
        ("manifest of the dataset", [_bytes(manifest_bytes(size)) for size in sizes]),
        ("requests to list its folder", [f"{-(-size.partitions // 1000):,}" for size in sizes]),
        ("planning of the preprocessing", [_bytes(size.partitions * PLAN_BYTES) for size in sizes]),
    ]


def _row(cost: Cost) -> str:
    cells = (cost.processes, _hours(cost.hours), f"{cost.mib:,.0f}", _bytes(cost.read), _bytes(cost.written))
    return f"| {cost.step} | {' | '.join(map(str, cells))} | {_rounded(cost.requests)} |"


def _hours(hours: float) -> str:
    for unit, size in (("days", 24.0), ("h", 1.0), ("min", 1 / 60)):
        if hours >= size:
            return f"{hours / size:,.1f} {unit}"
    return f"{hours * HOUR:,.0f} s"


def _bytes(size: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:.0f} B" if size else "-"


def _rounded(number: float) -> str:
    for unit, factor in ((" billion", 1e9), (" million", 1e6)):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:,.0f}"


def page(text: str, table: Table) -> str:
    """Return the text of the page with the tables of the measured rates."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{tables(table)}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8"), read_table(RESULTS.read_text("utf-8"))), encoding="utf-8")

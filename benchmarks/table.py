"""The results as tables, for the terminal and as Markdown."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from benchmarks.results import Detail, Growth, StageResult

MEBIBYTE = 2**20
STAGE_HEADERS = (
    "stage", "rows", "seconds", "start-up", "goal", "rows/s",
    "floor", "ratio", "ratio without start-up", "peak MiB, all",
    "peak MiB, largest", "foreign cores",
)  # fmt: skip
# Seconds of the start-up that a stage should take at most; of both commands in the case of the split.
STARTUP_GOALS = {
    "split_parquet_file": 0.8,
    "run_dask_preprocessing": 1.2,
    "run_training": 2.5,
    "calibrate": 1.5,
    "run_evaluation": 1.5,
    **dict.fromkeys(
        ("label_telemetry", "create_train_val_test_split", "fit_scaler", "scale_dataframes", "visualize_results"), 0.4
    ),
}
GROWTH_HEADERS = ("stage", "exponent of time", "growth of memory")
DETAIL_HEADERS = ("measurement", "rows", "value", "unit")


def stage_row(result: StageResult) -> tuple[str, ...]:
    """Cells of one stage at one size."""
    return (
        result.stage,
        f"{result.rows:,}",
        f"{result.seconds:.2f}",
        f"{result.startup_seconds:.2f}",
        number(STARTUP_GOALS.get(result.stage)),
        f"{result.rows_per_second:,.0f}",
        f"{result.floor_seconds:.2f}" if result.floor else "-",
        number(result.raw_ratio),
        number(result.net_ratio),
        f"{result.tree_bytes / MEBIBYTE:,.0f}",
        f"{result.process_bytes / MEBIBYTE:,.0f}",
        number(result.foreign_cores),
    )


def growth_row(growth: Growth) -> tuple[str, ...]:
    """Cells of the growth of one stage."""
    return growth.stage, number(growth.exponent), number(growth.memory)


def detail_row(detail: Detail) -> tuple[str, ...]:
    """Cells of one detail."""
    value = f"{detail.value:,.0f}" if detail.value >= 1000 else f"{detail.value:.3g}"
    return detail.name, f"{detail.rows:,}", value, detail.unit


def number(value: float | None) -> str:
    """Two decimals, or a dash where there is no value."""
    return "-" if value is None else f"{value:.2f}"


def stage_table(results: Sequence[StageResult], markdown: bool = False) -> Table:
    """Stages by size."""
    return _table(STAGE_HEADERS, [stage_row(result) for result in results], markdown)


def growth_table(growth: Sequence[Growth], markdown: bool = False) -> Table:
    """How the stages grow."""
    return _table(GROWTH_HEADERS, [growth_row(item) for item in growth], markdown)


def detail_table(details: Sequence[Detail], markdown: bool = False) -> Table:
    """The details."""
    return _table(DETAIL_HEADERS, [detail_row(detail) for detail in details], markdown)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> Table:
    table = Table(box=box.MARKDOWN if markdown else box.SIMPLE)
    for header in headers:
        is_text = header in {"stage", "measurement", "unit"}
        table.add_column(header, justify="left" if is_text else "right", no_wrap=markdown or is_text)
    for row in rows:
        table.add_row(*row)
    return table

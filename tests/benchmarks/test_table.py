import io

from rich.console import Console

from benchmarks.results import Detail, Growth, StageResult
from benchmarks.stages import STAGES
from benchmarks.table import MEBIBYTE, STAGE_HEADERS, STARTUP_GOALS, detail_row, growth_row, stage_row, stage_table

RESULT = StageResult(
    stage="split_parquet_file",
    rows=1_000_000,
    repeats=3,
    seconds=4.0,
    startup_seconds=1.0,
    tree_bytes=1500 * MEBIBYTE,
    process_bytes=700 * MEBIBYTE,
    foreign_cores=0.041,
    floor={"read": 0.5, "write": 1.0},
)


def test_a_stage_has_a_cell_for_every_header() -> None:
    cells = (
        "split_parquet_file",
        "1,000,000",
        "4.00",
        "1.00",
        "0.80",
        "250,000",
        "1.50",
        "2.67",
        "2.00",
        "1,500",
        "700",
        "0.04",
    )
    assert stage_row(RESULT) == cells
    assert len(cells) == len(STAGE_HEADERS)


def test_goals_are_those_of_stages() -> None:
    assert STARTUP_GOALS.keys() <= {stage.name for stage in STAGES}


def test_what_is_unknown_is_a_dash() -> None:
    assert growth_row(Growth("list_archives", None, 1.041)) == ("list_archives", "-", "1.04")


def test_details_have_few_digits() -> None:
    assert detail_row(Detail("labels", 10, 0.012345, "s")) == ("labels", "10", "0.0123", "s")
    assert detail_row(Detail("loop", 10, 123456.7, "rows/s")) == ("loop", "10", "123,457", "rows/s")


def test_markdown_has_a_line_a_stage() -> None:
    file = io.StringIO()
    Console(file=file, width=250).print(stage_table([RESULT, RESULT], markdown=True))
    lines = [line for line in file.getvalue().splitlines() if line.strip()]
    assert len(lines) == 4
    assert all(line.strip().startswith("|") and line.count("|") == len(STAGE_HEADERS) + 1 for line in lines)

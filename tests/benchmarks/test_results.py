import json
from pathlib import Path

import pytest

from benchmarks.results import Results, StageResult, exponent, growth_of, ratio


def result(rows: int, seconds: float, tree_bytes: int = 100, floor: dict[str, float] | None = None) -> StageResult:
    return StageResult(
        "scale", rows, 3, seconds, 1.0, tree_bytes, 80, 0.0, {"read": 0.5, "write": 1.5} if floor is None else floor
    )


def test_exponent_is_the_slope_of_the_logarithms() -> None:
    sizes = [100_000, 1_000_000, 10_000_000]
    assert exponent(sizes, [2e-6 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    # Least squares over 1, 10, 100 with logarithms 0, 2, 2: slope 1.
    assert exponent([1, 10, 100], [1, 100, 100]) == pytest.approx(1.0)


def test_exponent_leaves_out_times_that_are_too_short() -> None:
    assert exponent([10, 100, 1000], [0.09, 1.0, 10.0]) == pytest.approx(1.0)
    assert exponent([10, 100, 1000], [0.0, 0.05, 10.0]) is None
    assert exponent([10], [1.0]) is None


def test_ratios_are_with_and_without_the_start() -> None:
    measured = result(rows=10, seconds=5.0)
    assert measured.floor_seconds == 2.0
    assert measured.raw_ratio == 2.5
    assert measured.net_ratio == 2.0
    assert measured.rows_per_second == 2.0


def test_a_command_quicker_than_its_start_took_no_time_beyond_it() -> None:
    assert result(rows=10, seconds=0.9).net_seconds == 0.0


def test_there_is_no_ratio_without_a_floor() -> None:
    assert ratio(1.0, 0.0) is None
    assert result(rows=10, seconds=2.0, floor={}).raw_ratio is None


def test_growth_compares_the_two_largest_sizes_whatever_the_order() -> None:
    growth = growth_of([result(1000, 101.0, 260), result(10, 2.0, 100), result(100, 11.0, 200)])
    assert growth.memory == pytest.approx(1.3)
    assert growth.exponent == pytest.approx(1.0)


def test_results_are_written_with_what_follows_from_them(tmp_path: Path) -> None:
    results = Results("2023-01-01", {"cores": 2}, {"channels": 4}, [result(10, 2.0), result(100, 11.0)])
    file = tmp_path / "new" / "results.json"
    results.write(file)
    content = json.loads(file.read_text())
    assert [stage["net_ratio"] for stage in content["stages"]] == [0.5, 5.0]
    assert content["growth"] == [{"stage": "scale", "exponent": pytest.approx(1.0), "memory": 1.0}]

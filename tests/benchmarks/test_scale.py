"""The page about scale, whose tables are computed from the measured rates."""

import pytest

from benchmarks import scale
from benchmarks.scale import (
    BEGIN,
    END,
    HOUR,
    MEASURED_EPOCHS,
    PAGE,
    RESULTS,
    Measured,
    Size,
    costs,
    limits,
    page,
    read_table,
)

STAGES = (
    "split_parquet_file", "run_dask_preprocessing", "label_telemetry", "create_train_val_test_split", "fit_scaler",
    "scale_dataframes", "run_training, streaming", "run_evaluation", "run_evaluation, baselines", "visualize_results",
)  # fmt: skip
# 1,000 rows a second beyond a start-up of 5 seconds, and 2 MiB for each million rows.
TABLE = {stage: {rows: Measured(5 + rows / 1000, 5, 100 + rows * 2e-6) for rows in (10**6, 10**7)} for stage in STAGES}


def test_the_page_has_the_costs_of_the_measured_rates() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text, read_table(RESULTS.read_text(encoding="utf-8"))), "run python -m benchmarks.scale"


def test_tables_replace_what_is_between_the_marks_alone() -> None:
    new = page(f"before\n{BEGIN}{END}\nafter\n", TABLE)
    assert new.startswith(f"before\n{BEGIN}\n\n| what ends ")
    assert new.endswith(f" |\n\n{END}\nafter\n")
    assert page(new, TABLE) == new


def test_the_table_of_the_results_is_found_by_its_headers() -> None:
    text = """
| other | table | x |
| --- | --- | --- |
| a | 1 | 2 |

| stage | rows | seconds | start-up | more | peak MiB, all |
| --- | ---: | ---: | ---: | ---: | ---: |
| run_training, streaming | 1,000 | 1.5 | 0.5 | - | 1,024 |
| run_training, streaming | 10,000 | 3 | 0.5 | - | 2,048 |

| stage | exponent of time |
| --- | ---: |
| run_training, streaming | 1.00 |
"""
    found = {1_000: Measured(1.5, 0.5, 1024), 10_000: Measured(3, 0.5, 2048)}
    assert read_table(text) == {"run_training, streaming": found}


def test_workers_and_nodes_divide_the_time_of_their_steps_alone() -> None:
    one, many = (
        {cost.step: cost.hours for cost in costs(TABLE, Size(10**9, *processes))} for processes in ((1, 1), (4, 2))
    )
    divided = {"split_parquet_file": 4, "run_dask_preprocessing": 4, "run_pytorchjob": 2}
    assert {step: one[step] / many[step] for step in one} == pytest.approx({step: divided.get(step, 1) for step in one})
    assert one["fit_scaler"] == pytest.approx(10**9 / 1000 / HOUR)
    assert one["run_pytorchjob"] == pytest.approx(10**9 * scale.TRAINING_EPOCHS / 1000 / MEASURED_EPOCHS / HOUR)


def test_no_more_archives_are_split_at_once_than_there_are() -> None:
    assert costs(TABLE, Size(scale.ARCHIVE_ROWS, 9, 1))[0].processes == 1


def test_memory_grows_with_the_rows_in_the_evaluation_alone() -> None:
    mib = {cost.step: cost.mib for cost in costs(TABLE, Size(10**9, 1, 1))}
    assert mib.pop("run_evaluation") == pytest.approx(100 + 10**9 * 2e-6)
    assert set(mib.values()) == {120}


def test_limits_are_where_the_costs_reach_them() -> None:
    rows = {what: rows for what, _, rows in limits(TABLE)}
    memory = costs(TABLE, Size(int(rows["memory of the evaluation"]), 1, 1))
    assert next(cost.mib for cost in memory if cost.step == "run_evaluation") == pytest.approx(4096)
    training = costs(TABLE, Size(int(rows["time of a training, one node"]), 1, 1))
    assert next(cost.hours for cost in training if cost.step == "run_pytorchjob") == pytest.approx(24)
    assert list(rows.values()) == sorted(rows.values())

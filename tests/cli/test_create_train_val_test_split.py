"""The three-way split as a command: what it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from container_component_src.steps.data import SETS
from tests import data_steps
from tests.helpers import (
    Invoke,
    Outcome,
    assert_nothing_written,
    assert_refused,
    report,
    write_dataset,
    write_reports,
)

NORMAL = ("--window-hours", 1, "--block-hours", 0.1)


@pytest.fixture
def three_way(invoke: Invoke, tmp_path: Path) -> Callable[..., Outcome]:
    """Splits ten hours of telemetry with an anomaly in the middle."""
    write_dataset(tmp_path / "dataset", np.random.default_rng(0).normal(size=(600, 2)), partition_rows=250)
    reports = write_reports(tmp_path / "reports.csv", report((300, 330)))
    assert invoke(*data_steps.label(tmp_path / "dataset", reports, tmp_path / "labels")).code == 0

    def run(*options: object, labels: str = "labels") -> Outcome:
        return invoke(*data_steps.three_way(tmp_path / "dataset", tmp_path / labels, tmp_path), *options)

    return run


@pytest.mark.parametrize(
    ("options", "empty"),
    [
        (("--window-hours", 100), "train"),
        (
            ("--window-hours", 0, "--block-hours", 0.1, "--val-fraction", 0.9 - 1e-12, "--calibration-fraction", 0.1),
            "train",
        ),
        (("--window-hours", 0, "--block-hours", 0.1, "--val-fraction", 1e-12), "val"),
        (("--window-hours", 0, "--block-hours", 0.1, "--calibration-fraction", 1e-12), "calibration"),
    ],
)
def test_a_split_that_leaves_a_part_empty(
    options: tuple[object, ...], empty: str, three_way: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert_refused(three_way(*options), tmp_path / "dataset", f"leaves {empty} empty")
    assert_nothing_written(*(tmp_path / name for name in SETS))


def test_a_failed_split_leaves_nothing_of_an_earlier_one(three_way: Callable[..., Outcome], tmp_path: Path) -> None:
    assert three_way(*NORMAL).code == 0
    # The telemetry itself carries no events, so no row is test.
    assert_refused(three_way(*NORMAL, labels="dataset"), tmp_path / "dataset", "leaves test empty")
    assert_nothing_written(*(tmp_path / name for name in SETS))


def test_labels_of_other_data(three_way: Callable[..., Outcome], tmp_path: Path) -> None:
    for values, options in (
        (np.zeros((600, 2)), {"partition_rows": 250, "start": "2023-01-01 00:00:30"}),
        (np.zeros((600, 2)), {"partition_rows": 200}),
        (np.zeros((500, 2)), {"partition_rows": 250}),
    ):
        write_dataset(tmp_path / "dataset", values, **options)
        assert_refused(three_way(*NORMAL), tmp_path / "labels", tmp_path / "dataset", "labels of other data")
        assert_nothing_written(*(tmp_path / name for name in SETS))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--val-fraction", value) for value in ("0", "0.99", "1", "nan", "2")),
        *(("--calibration-fraction", value) for value in ("0", "0.99", "1", "nan", "2")),
        *(("--window-hours", value) for value in ("-1", "nan", "inf", "1e9")),
        *(("--block-hours", value) for value in ("0", "nan", "1e-13", "1e9")),
        *(("--seed", value) for value in ("-1", "0.5", "nan", "inf")),
    ],
)
def test_numbers_out_of_range(option: str, value: str, three_way: Callable[..., Outcome], tmp_path: Path) -> None:
    assert_refused(three_way(option, value), option)
    assert_nothing_written(*(tmp_path / name for name in SETS))

import re

import pytest

from container_component_src.tuning.collector import (
    METRIC_FILTER,
    MetricsUnavailableError,
    collect,
    objective,
)

TIME = "2026-11-23T08:00:00.123456Z"


def test_the_filter_has_exactly_two_groups_and_no_separator_of_katib() -> None:
    assert re.compile(METRIC_FILTER).groups == 2
    assert ";" not in METRIC_FILTER


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (f"{TIME} val_loss=0.25", [0.25]),
        ("val_loss=0.25", [0.25]),
        (f"{TIME} val_loss = 7", [7.0]),
        (f"{TIME} val_loss=-1.5e-03", [-0.0015]),
        (f"{TIME} val_loss=+.5E2", [50.0]),
        (f"{TIME} val_loss=2.", [2.0]),
        (f"{TIME} train_loss=1 val_loss=2 val_loss=3", [2.0, 3.0]),
        ("Epoch 0:  50%|##   | 1/2 [v_num=0, val_loss=0.5]\rEpoch 0: 100%|####| 2/2 [val_loss=0.4]", [0.5, 0.4]),
        (f"{TIME} val_loss=nan", []),
        (f"{TIME} val_loss=inf val_loss=-inf", []),
        (f"{TIME} val_loss=1e999", []),
        (f"{TIME} best_val_loss=1 val_loss_sum=2 train-val_loss=3", []),
        (f"{TIME} epoch/val_loss=3", [3.0]),
        (f"{TIME} val_loss: 0.25", []),
        (f"{TIME} train_loss=0.25", []),
        ("", []),
    ],
)
def test_reports_on_a_line(line: str, values: list[float]) -> None:
    assert collect([line], "val_loss") == values


def test_reports_keep_the_order_of_the_output_and_the_objective_is_the_smallest() -> None:
    lines = [f"{TIME} val_loss=3", "noise", f"{TIME} val_loss=1", f"{TIME} train_loss=0", f"{TIME} val_loss=2", ""]
    assert collect(lines, "val_loss") == [3.0, 1.0, 2.0]
    assert collect(lines, "train_loss") == [0.0]
    assert objective(lines) == 1.0


def test_reports_that_are_not_numbers_are_ignored() -> None:
    assert objective([f"{TIME} val_loss=nan", f"{TIME} val_loss=2"]) == 2.0
    with pytest.raises(MetricsUnavailableError, match="val_loss"):
        objective([f"{TIME} val_loss=nan", "done"])

"""Text of a check for drift."""

import numpy as np

from container_component_src.drift.detection import Rows, find_drift
from container_component_src.drift.summary import summary
from tests.drift.cases import ROWS, autoregressive, info_with_references, normal_rows

END = "from 2023-11-15T00:00:00+00:00 to 2023-11-20T13:19:00+00:00"


def test_each_channel_with_drift_has_a_line() -> None:
    rows = normal_rows()
    rows.values[:, 0] += 10.0
    rows.values[::10, 2] = np.nan
    scores = 9 + autoregressive(ROWS, 1, seed=3)[:, 0]
    report = find_drift(info_with_references(with_scores=True), [Rows(rows.timestamps, rows.values, scores)])
    lines = summary(report).split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("cabin_pressure: stability index ")
    assert ", since 2023-11-15T00:00:00+00:00" in lines[0]
    assert lines[1] == "fan_speed: 10.0% missing, 0.0% before, since 2023-11-15T00:00:00+00:00"
    assert lines[2].startswith("scores: ")
    assert lines[3] == f"8,000 rows {END}: {'; '.join(report.reasons)}"


def test_no_drift_is_one_line() -> None:
    report = find_drift(info_with_references(), [normal_rows()])
    assert summary(report) == f"8,000 rows {END}: no limit exceeded, 0 channels have drifted"

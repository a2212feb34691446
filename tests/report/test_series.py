"""Series of the report: no peak is lost, the partitioning does not matter, and all rows are counted."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.report.series import (
    HISTOGRAM_BINS,
    MinMaxDownsampler,
    ScoreAxis,
    event_windows,
    read_series,
)
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from tests.evaluation.cases import CHANNELS, SECOND, add_rare_event, anomalous_frame, write_case

ENDLESS = 2**62


def reduced(values: npt.NDArray[np.float64], bucket_rows: int, cuts: list[int]) -> list[tuple[int, float]]:
    series = MinMaxDownsampler(bucket_rows)
    for rows in np.split(np.arange(len(values)), sorted(cuts)):
        series.push(rows, values[rows])
    line = series.line(ENDLESS)
    return list(zip(line.timestamps.tolist(), line.values.tolist(), strict=True))


def test_keeps_minimum_and_maximum_of_each_bucket_in_order_of_time() -> None:
    assert reduced(np.array([1.0, 9.0, 3.0, 4.0, 8.0, 2.0, 7.0]), 3, []) == [
        (0, 1.0),
        (1, 9.0),
        (4, 8.0),
        (5, 2.0),
        (6, 7.0),
    ]


def test_breaks_the_line_at_a_gap() -> None:
    series = MinMaxDownsampler(1)
    series.push(np.array([0, 1, 50, 51]), np.array([1.0, 2.0, 3.0, 4.0]))
    line = series.line(10)
    assert line.timestamps.tolist() == [0, 1, 1, 50, 51]
    assert [number for number, value in enumerate(line.values) if np.isnan(value)] == [2]


@given(
    st.integers(1, 60).flatmap(lambda rows: arrays(np.float64, rows, elements=st.floats(-1e6, 1e6))),
    st.integers(1, 9),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_no_peak_is_lost_for_any_partitioning(
    values: npt.NDArray[np.float64], bucket_rows: int, cuts: list[int]
) -> None:
    points = reduced(values, bucket_rows, cuts)
    assert points == reduced(values, bucket_rows, [])
    assert points == sorted(set(points))
    assert len(points) <= 2 * -(-len(values) // bucket_rows)
    assert all(values[row] == value for row, value in points)
    for first in range(0, len(values), bucket_rows):
        inside = [value for row, value in points if first <= row < first + bucket_rows]
        bucket = values[first : first + bucket_rows]
        assert (min(inside), max(inside)) == (bucket.min(), bucket.max())


def evaluated(folder: Path) -> tuple[EvaluationResult, Dataset, ScoreAxis]:
    case = write_case(folder)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    return result, Dataset.open(str(case.out)), ScoreAxis.of(result)


def test_all_rows_are_counted_and_events_are_shown_completely(tmp_path: Path) -> None:
    result, scores, axis = evaluated(tmp_path)
    windows = event_windows(result)
    series = read_series(scores, result, axis, windows)
    assert (int(series.normal.sum()), int(series.anomalous.sum())) == (350, 50)
    assert len(series.normal) == HISTOGRAM_BINS
    smoothed = scores.load().values[:, 1]
    assert np.nanmax(series.overview.values) == smoothed.max()
    for event, window, line in zip(result.events, windows, series.windows, strict=True):
        assert window.start < event.start < event.end < window.end
        inside = (line.timestamps >= event.start) & (line.timestamps < event.end)
        assert np.nanmax(line.values[inside]) == pytest.approx(event.peak_score)


def test_finds_gaps_between_partitions(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    frame, events = anomalous_frame()
    later = frame.timestamps + np.where(np.arange(len(frame)) >= 200, 3600 * SECOND, 0)
    moved = tuple(
        event.model_copy(update={"start": event.start + 3600 * SECOND, "end": event.end + 3600 * SECOND})
        if event.id == "A-2"
        else event
        for event in events
    )
    with DatasetWriter(case.test, "normalizedTime", CHANNELS) as writer:
        for rows in (slice(0, 200), slice(200, 400)):
            labels = None if frame.labels is None else frame.labels[rows]
            writer.write(Frame(later[rows], frame.values[rows], labels))
        writer.commit(events=moved)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    series = read_series(Dataset.open(str(case.out)), result, ScoreAxis.of(result), event_windows(result))
    assert series.gaps == ((int(later[199]), int(later[200])),)
    assert np.isnan(series.overview.values).sum() == 1


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_axis_positions_convert_back_to_scores(centre: float, width: float, scores: list[float]) -> None:
    axis = ScoreAxis(centre, width)
    np.testing.assert_allclose(axis.score(axis.position(scores)), scores, rtol=1e-6, atol=1e-6)


def test_the_histogram_leaves_rare_nominal_rows_out(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    add_rare_event(case)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    axis = ScoreAxis.of(result)
    series = read_series(Dataset.open(str(case.out)), result, axis, event_windows(result))
    assert int(series.normal.sum() + series.anomalous.sum()) == result.counts.test_rows
    assert int(series.anomalous.sum()) == result.counts.anomalous_rows

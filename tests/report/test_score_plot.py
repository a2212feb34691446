"""Plot of the score: its lanes, and what it shows of selected events and alarms."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import to_csv
from container_component_src.alarms.tracker import AlarmState, ChannelShare
from container_component_src.evaluation.event_result import ChannelExcess, EventResult, SimilarEvent
from container_component_src.evaluation.expected import ALL_BUCKETS, MOST_CHANNELS
from container_component_src.evaluation.result import Counts, EvaluationResult
from container_component_src.report.alarms import MOST_ALARMS, ShownAlarm, ShownAlarms
from container_component_src.report.overview import SPANS_SHOWN
from container_component_src.report.rendering import render
from container_component_src.report.score_plot import alarm_views, event_views, time_figure
from container_component_src.report.series import (
    Line,
    ScoreAxis,
    Window,
    alarm_windows,
    event_windows,
    read_series,
)
from container_component_src.report.signals import Signal
from container_component_src.steps.data import SETS
from container_component_src.telemetry.dataset import Dataset
from tests.evaluation.cases import SECOND, START, make_bundle, write_case
from tests.report.cases import LARGEST, alarm, evaluated

LONG_NAME = "ECLSS_A_RATHER_LONG_CHANNEL_NAME"


def test_alarms_are_a_lane_beside_the_events_coloured_by_whether_they_are_true(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, info = evaluated(case), make_bundle(case.bundle)
    alarms = [
        ShownAlarm(alarm(info, 98, 120, ("A-1",)), "A-1", 0.0),
        ShownAlarm(alarm(info, 200, 205), "90 s before A-2", 95.0),
        ShownAlarm(alarm(info, 305, 307, ("A-2",)), "A-2", 0.0),
    ]
    series = read_series(Dataset.open(str(case.out)), result, ScoreAxis.of(result), ())
    figure = time_figure(series, result, info.calibrated.rule, alarms)
    lanes = {trace["name"]: trace for trace in figure["data"][1:]}
    true, false = lanes["True alarm"], lanes["False alarm"]
    start = START // 1_000_000
    assert true["x"] == [start + 98_000, *2 * [start + 120_000], None, start + 305_000, *2 * [start + 307_000], None]
    assert false["x"] == [start + 200_000, *2 * [start + 205_000], None]
    assert (true["customdata"], false["customdata"]) == ([0] * 4 + [2] * 4, [1] * 4)
    assert true["line"]["color"] != false["line"]["color"]
    events = lanes["Detected event"]
    assert events["yaxis"] == true["yaxis"] == false["yaxis"] == "y2"
    assert set(events["y"]).isdisjoint({*true["y"], *false["y"]})


def test_both_levels_of_the_rule_are_lines(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, rule = evaluated(case), make_bundle(case.bundle).calibrated.rule
    series = read_series(Dataset.open(str(case.out)), result, ScoreAxis.of(result), ())

    def levels(clear_below: float) -> dict[str, float]:
        known = rule.model_copy(update={"clear_below": clear_below})
        shapes = time_figure(series, result, known, ())["layout"]["shapes"]
        return {shape["name"]: shape["y0"] for shape in shapes if shape["type"] == "line"}

    best = result.best.threshold
    assert levels(6.0) == {"Alarm threshold": 8.0, "Clear threshold": 6.0, "Best threshold": best}
    assert levels(8.0) == {"Alarm threshold": 8.0, "Best threshold": best}


def test_the_view_of_an_alarm_has_its_whole_score(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, info, scores = evaluated(case), make_bundle(case.bundle), Dataset.open(str(case.out))
    found = [
        ShownAlarm(alarm(info, 100, 139, ("A-1",), 55.5), "A-1", 0.0),
        ShownAlarm(alarm(info, 200, 200), "x", 60.0),
    ]
    windows = alarm_windows(result, [item.alarm for item in found])
    series = read_series(scores, result, ScoreAxis.of(result), windows)
    first, second = alarm_views(series.windows, windows, found)
    start = START // 1_000_000
    assert first["times"] == [start + 100_000, start + 100_000, start + 139_000, start + 139_000]
    assert (first["peak_score"], first["kind"], second["kind"]) == (55.5, "true", "false")
    assert first["label"] == f"Alarm {found[0].alarm.id}: true alarm, A-1"
    for view in (first, second):
        times = [view["start"] + offset for offset in view["score"]["x"]]
        assert view["start"] <= times[0] < view["times"][0] <= view["times"][-1] < times[-1] <= view["end"]
    smoothed = scores.load().values[100:140, 1]
    assert max(first["score"]["y"]) == pytest.approx(float(smoothed.max()), rel=1e-4)


def test_the_view_of_an_event_has_its_first_alarm_what_was_expected_and_similar_events(tmp_path: Path) -> None:
    result = evaluated(write_case(tmp_path))
    windows = event_windows(result)
    similar = (SimilarEvent(position=1, similarity=0.98765),)
    events = (result.events[0].model_copy(update={"similar": similar}), result.events[1])
    lines = [Line(np.array([window.start]), np.array([1.0])) for window in windows]
    times = windows[0].start + np.array([0, SECOND, 2 * SECOND])
    band = Line(times, np.array([[1000.00012, 1016.0], [np.nan, np.nan], [3.0, 3.0]]))
    signals = [[Signal("fan", 1234.5, lines[0], band, (1005.31, 1016.52))], []]
    first, _ = event_views(lines, signals, windows, result.model_copy(update={"events": events}))
    start = START // 1_000_000
    assert first["first_alarm"] == [start + 101_000, start + 101_000]
    assert first["similar"] == [{"number": 1, "similarity": "0.988"}]
    (fan,) = first["signals"]
    assert fan["expected"] == {"x": [0, 1000, 2000], "low": [1000.0, None, 3.0], "high": [1016.0, None, 3.0]}
    assert (fan["excess"], fan["training_text"]) == ("+1\u202f230 nats", "1\u202f005 to 1\u202f017")
    missed = {"alarm_start": None, "delay_s": None, "detected": False}
    update = {"events": tuple(event.model_copy(update=missed) for event in events)}
    assert [view["first_alarm"] for view in event_views(lines, signals, windows, result.model_copy(update=update))] == [
        None,
        None,
    ]


def test_the_window_of_an_event_has_its_alarms_if_they_are_near(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result, info = evaluated(case), make_bundle(case.bundle)
    late = result.model_copy(update={"events": result.events[1:]})  # from 300 s to 310 s, with a margin of 120 s
    (alone,) = event_windows(late)
    assert (alone.start, alone.end) == (START + 180 * SECOND, START + 430 * SECOND)
    (wider,) = event_windows(
        late, [alarm(info, 250, 305, ("A-2",)), alarm(info, 100, 290), alarm(info, 308, 999, ("A-2",))]
    )
    assert (wider.start, wider.end) == (START + 130 * SECOND, START + 670 * SECOND)


def test_many_events_and_long_series_stay_small() -> None:
    """Maximum number of points, each with the maximum number of digits."""
    result = long_result()
    windows = event_windows(result)
    signals = [
        [Signal(LONG_NAME, 1.0, longest(window), expected(window), (0.0, 1.0))] * MOST_CHANNELS for window in windows
    ]
    views = event_views([longest(window) for window in windows], signals, windows, result)
    table = render("events.html.jinja", result=result, largest_excess=1.0)
    split = len(SETS) * SPANS_SHOWN * 40
    assert size_of(views) + len(table) + len(get_plotlyjs()) + split < LARGEST - 250_000  # the other plots


def test_many_alarms_stay_small() -> None:
    nearest = ("3.45 h before COL-AR-0012", 12_420.0)
    alarms = tuple(ShownAlarm(long_alarm(number), *nearest) for number in range(MOST_ALARMS))
    windows = alarm_windows(long_result(), [item.alarm for item in alarms])
    views = alarm_views([longest(window) for window in windows], windows, alarms)
    table = render("alarm_table.html.jinja", alarms=ShownAlarms(alarms, len(alarms)))
    assert size_of(views) + size_of(to_csv(item.alarm for item in alarms)) + len(table) < 2_900_000


def long_result() -> EvaluationResult:
    counts: dict[str, Any] = {"observed_days": 730.0, "test_rows": 63_000_000}
    events = tuple(long_event(number) for number in range(500))
    known: dict[str, Any] = {"events": events, "counts": Counts.model_construct(**counts)}
    return EvaluationResult.model_construct(**known)


def size_of(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def longest(window: Window) -> Line:
    times = np.linspace(window.start, window.end, 2 * window.buckets).astype(np.int64)
    return Line(times, np.full(len(times), -np.pi * 1e-4))


def expected(window: Window) -> Line:
    """Return as many points as an event has if there are many events."""
    times = np.linspace(window.start, window.end, ALL_BUCKETS // 500).astype(np.int64)
    return Line(times, np.full((len(times), 2), -np.pi * 1e-4))


def long_event(number: int) -> EventResult:
    return EventResult(
        id=f"COL-AR-{number:04d}",
        symbol="ECLSS-CWSA",
        title="Temperature control valve not following its command",
        start=number * 86_400 * SECOND,
        end=(number + 1) * 86_400 * SECOND,
        rows=86_400,
        detected=True,
        delay_s=1234.567,
        alarms=1,
        peak_score=4488.3623046875,
        top_channels=tuple(ChannelExcess(channel=LONG_NAME, excess=1.0) for _ in range(5)),
        similar=tuple(SimilarEvent(position=position, similarity=0.987654) for position in range(3)),
    )


def long_alarm(number: int) -> Alarm:
    start = START + number * 40_000 * SECOND + 123_456_789
    return Alarm(
        id="20210104T031502.123456789Z-1a2b3c4d", state=AlarmState.CLOSED, start=start, raised=start,
        end=start + 30_000 * SECOND, peak=start, peak_score=4488.3623046875, threshold=-12.345678901234567, rows=30_000,
        channels=tuple(ChannelShare(LONG_NAME, 0.123456789012345) for _ in range(5)), subsystem="humidity control",
        model_version="0123456789abcdef" * 4, events=(),
    )  # fmt: skip

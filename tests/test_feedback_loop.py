"""The loop of operators' feedback: alarms of an evaluation, verdicts on them, new labels, a new split, new metrics."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import read_alarms
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.steps.data import SETS
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.verdicts import Feedback, Verdict, write_feedback
from tests import data_steps
from tests.evaluation.cases import CHANNELS, SECOND, START, make_bundle, write_dataset
from tests.helpers import Invoke, write_reports

ROWS = 2000
# What moves in the data, a channel in some seconds, and what operators say of its alarms. The first is reported.
MOVED = {(100, 140): None, (800, 830): Verdict.TRUE, (1200, 1220): Verdict.FALSE, (1600, 1630): Verdict.RARE_NOMINAL}


def write_telemetry(folder: Path) -> None:
    """Write telemetry, a row a second, the report of one anomaly, and a calibration set."""
    values = np.random.default_rng(3).normal(size=(ROWS, len(CHANNELS))).astype(np.float32)
    for first, stop in MOVED:
        values[first:stop, 0] += 8.0
    write_dataset(folder / "data", Frame(START + np.arange(ROWS) * SECOND, values), (700, 1400))
    nominal = np.random.default_rng(2).normal(size=(ROWS, len(CHANNELS))).astype(np.float32)
    write_dataset(folder / "calibration", Frame(START + np.arange(ROWS) * SECOND, nominal), ())
    times = (datetime.fromtimestamp(START / SECOND + second, UTC) for second in (100, 140))
    write_reports(folder / "reports.csv", [["AR-1", "FAN", "Fan", *(f"{time:%Y/%j/%H:%M:%S}" for time in times)]])


def verdict_on(alarm: Alarm) -> Verdict | None:
    """Return what operators say of an alarm, by what it overlaps."""
    seconds = ((time - START) / SECOND for time in (alarm.start, alarm.end))
    start, end = seconds
    return next((verdict for (first, stop), verdict in MOVED.items() if start < stop and first <= end), None)


def evaluated(folder: Path, test: Path, out: str) -> EvaluationResult:
    alarms = str(folder / f"{out}.ndjson")
    return evaluate(
        str(folder / "bundle"), str(folder / "calibration"), str(test), str(folder / out), alarms_out_uri=alarms
    )


def split_by(folder: Path, invoke: Invoke, name: str, *feedback: object) -> dict[str, set[int]]:
    """Label and split the telemetry, and return the seconds of each set."""
    data, labels = folder / "data", folder / f"labels-{name}"
    label = data_steps.label(data, folder / "reports.csv", labels)
    assert invoke(*label, *feedback).code == 0
    rule = ("--window-hours", 60 / 3600, "--block-hours", 100 / 3600, "--val-fraction", 0.1, "--seed", 0)
    outcome = invoke(*data_steps.three_way(data, labels, folder / name), *rule, "--calibration-fraction", 0.1)
    assert outcome.code == 0, outcome
    sets = {part: Dataset.open(str(folder / name / part)).load() for part in SETS}
    return {part: {*((frame.timestamps - START) // SECOND).tolist()} for part, frame in sets.items()}


def test_verdicts_on_the_alarms_of_an_evaluation_change_the_next_one(invoke: Invoke, tmp_path: Path) -> None:
    write_telemetry(tmp_path)
    make_bundle(str(tmp_path / "bundle"), window=9)  # which smooths the noise away
    # At first, all of the time is a test set, because its window is as long as the data.
    labels = data_steps.label(tmp_path / "data", tmp_path / "reports.csv", tmp_path / "first")
    assert invoke(*labels).code == 0
    whole = Dataset.open(str(tmp_path / "first"))
    frame = Dataset.open(str(tmp_path / "data")).load()
    with DatasetWriter(str(tmp_path / "test"), "normalizedTime", CHANNELS) as writer:
        writer.write(Frame(frame.timestamps, frame.values, whole.load().labels))
        writer.commit(events=whole.manifest.events)
    before = evaluated(tmp_path, tmp_path / "test", "before")
    alarms = read_alarms(str(tmp_path / "before.ndjson"))
    assert before.calibrated.false_alarms >= 3

    # Operators judge the false alarms; the table is in no particular order.
    judged = [
        Feedback(alarm_id=alarm.id, start=alarm.start, end=alarm.end, verdict=verdict, at=alarm.end)
        for alarm in reversed(alarms)
        if (verdict := verdict_on(alarm))
    ]
    assert {item.verdict for item in judged} == {*Verdict}
    write_feedback(str(tmp_path / "feedback.csv"), judged)
    without = split_by(tmp_path, invoke, "without")
    sets = split_by(tmp_path, invoke, "with", "--feedback-path", tmp_path / "feedback.csv")

    seconds = {
        verdict: {
            second
            for item in judged
            if item.verdict is verdict
            for second in range((item.start - START) // SECOND, (item.end - START) // SECOND + 1)
        }
        for verdict in Verdict
    }
    assert seconds[Verdict.FALSE] <= sets["train"]
    assert seconds[Verdict.RARE_NOMINAL] <= sets["test"]
    assert seconds[Verdict.TRUE] <= sets["test"]
    assert without["test"] == {*range(40, 200)}  # the report with its window
    true = seconds[Verdict.TRUE]
    windows = {second + offset for second in true for offset in range(-60, 61)}
    assert sets["test"] == without["test"] | windows | seconds[Verdict.RARE_NOMINAL]

    test = Dataset.open(str(tmp_path / "with" / "test"))
    found = test.load()
    assert found.labels is not None
    anomalous = {*((found.timestamps[found.labels == 1] - START) // SECOND).tolist()}
    assert anomalous == {*range(100, 140)} | true
    assert [event.origin for event in test.manifest.events].count("report") == 1
    after = evaluated(tmp_path, tmp_path / "with" / "test", "after")
    assert after.calibrated.events_detected == after.counts.events == len(test.manifest.events)
    assert (after.calibrated.false_alarms, after.calibrated.rare_nominal_events_alarmed) == (0, len(after.rare_nominal))
    assert after.rare_nominal

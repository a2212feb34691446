"""The four sets by windows around events and by blocks of time."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.arrays import Timestamps
from container_component_src.errors import InputError
from container_component_src.steps.data import SETS, ReportColumns, ScalerType, SplitRule
from container_component_src.telemetry.blocks import BlockDraw
from container_component_src.telemetry.dataset import Dataset, Frame, read_together
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, inside_any
from container_component_src.telemetry.labels import label_dataset
from container_component_src.telemetry.manifest import Manifest
from container_component_src.telemetry.scaling import fit_scaler, scale_datasets
from container_component_src.telemetry.split import assign, split_dataset
from container_component_src.telemetry.verdicts import Feedback, Verdict, write_feedback
from tests.helpers import MINUTE, TIME, nanoseconds, report, write_dataset, write_reports
from tests.telemetry.splits import events, rules

HOUR = 60 * MINUTE


def _times(timestamps: Timestamps, events: tuple[Event, ...], draw: BlockDraw) -> dict[str, Timestamps]:
    """Return the timestamps of each set."""
    return {name: timestamps[rows] for name, rows in assign(timestamps, events, draw).items()}


def _draw(timestamps: Timestamps, events: tuple[Event, ...], rule: SplitRule) -> BlockDraw:
    return BlockDraw.over((int(timestamps[0]), int(timestamps[-1])), events, rule)


def _without_files(manifest: Manifest) -> Manifest:
    """Return a manifest without the file names, which differ for every attempt."""
    partitions = tuple(partition.model_copy(update={"file": ""}) for partition in manifest.partitions)
    return manifest.model_copy(update={"partitions": partitions})


def test_bounds_of_windows() -> None:
    event = Event(id="1", start=10 * HOUR, end=11 * HOUR)
    edges = np.array([8 * HOUR - 1, 8 * HOUR, 13 * HOUR - 1, 13 * HOUR])
    rule = SplitRule(window_hours=2, block_hours=6, val_fraction=0.2, seed=0)
    assert _times(edges, (event,), _draw(edges, (event,), rule))["test"].tolist() == [8 * HOUR, 13 * HOUR - 1]
    narrow = SplitRule(window_hours=0, block_hours=6, val_fraction=0.2, seed=0)
    edges = np.array([10 * HOUR - 1, 10 * HOUR, 11 * HOUR - 1, 11 * HOUR])
    assert _times(edges, (event,), _draw(edges, (event,), narrow))["test"].tolist() == [10 * HOUR, 11 * HOUR - 1]


RULES, EVENTS = rules(10), events(0, 3000)


@given(rule=RULES, events=EVENTS, cut=st.integers(0, 2500))
def test_every_row_is_in_one_set_for_any_partitions(rule: SplitRule, events: tuple[Event, ...], cut: int) -> None:
    timestamps = np.arange(-200, 2300, dtype=np.int64) * MINUTE
    draw = _draw(timestamps, events, rule)
    whole = _times(timestamps, events, draw)
    assert sorted(np.concatenate([*whole.values()]).tolist()) == timestamps.tolist()
    pieces = [_times(part, events, draw) for part in (timestamps[:cut], timestamps[cut:])]
    for name, times in whole.items():
        np.testing.assert_array_equal(times, np.concatenate([piece[name] for piece in pieces]))


@pytest.mark.parametrize(
    ("gap", "warned"),
    [(0, "blocks of 2.5 hours instead of 9"), (400, r"(val|calibration) has 0.\d+ .* instead of 0.3.* try")],
)
def test_a_share_or_a_block_length_that_is_missed_is_logged(
    gap: int, warned: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = 600
    times = nanoseconds("2023-01-01") + np.arange(rows) * MINUTE + (np.arange(rows) >= rows // 2) * gap * MINUTE
    with DatasetWriter(str(tmp_path / "data"), TIME, ("a",)) as writer:
        writer.write(Frame(times, np.zeros((rows, 1), np.float32)))
        writer.commit()
    reports = write_reports(tmp_path / "reports.csv", report((rows - 1 + gap, rows + gap)))
    labels = label_dataset(str(tmp_path / "data"), str(reports), str(tmp_path / "labels"), ReportColumns())
    rule = SplitRule(window_hours=0, block_hours=9, val_fraction=0.3, calibration_fraction=0.3, seed=0)
    targets = {name: str(tmp_path / name) for name in SETS}
    parts = split_dataset(str(tmp_path / "data"), labels.location.uri, targets, rule)
    assert re.search(warned, caplog.text)
    rows_of = {name: part.manifest.rows for name, part in parts.items()}
    for name in ("val", "calibration"):
        share = round(rows_of[name] / (rows - rows_of["test"]), 4)
        assert {part.manifest.notes[f"{name}_share"] for part in parts.values()} == {share}


@pytest.mark.parametrize("copy", [False, True])
def test_written_datasets(copy: bool, tmp_path: Path) -> None:
    start, rows = nanoseconds("2023-01-01"), 600
    values = np.arange(2 * rows).reshape(rows, 2)
    write_dataset(tmp_path / "d", values, partition_rows=130)
    reports = write_reports(tmp_path / "r.csv", report((300, 330)))
    labels = label_dataset(str(tmp_path / "d"), str(reports), str(tmp_path / "l"), ReportColumns())
    rule = SplitRule(window_hours=0.5, block_hours=0.25, val_fraction=0.3, seed=3)
    targets = {name: str(tmp_path / name) for name in SETS}
    parts = split_dataset(str(tmp_path / "d"), str(tmp_path / "l"), targets, rule, copy)
    assert parts == {name: Dataset.open(uri) for name, uri in targets.items()}

    frames = {name: part.load() for name, part in parts.items()}
    test = frames["test"]
    assert test.timestamps.tolist() == [start + minute * MINUTE for minute in range(270, 360)]
    assert test.labels is not None
    assert test.labels.tolist() == [0] * 30 + [1] * 30 + [0] * 30
    assert parts["test"].manifest.events == labels.manifest.events
    assert (parts["train"].manifest.events, parts["train"].manifest.labelled) == ((), False)
    for frame in frames.values():  # every row keeps its values
        np.testing.assert_array_equal(frame.values[:, 0], (frame.timestamps - start) // MINUTE * 2)
    assert sum(map(len, frames.values())) == rows
    assert [name for name, frame in frames.items() if frame.labels is not None] == ["test"]
    assert any((tmp_path / "train").glob("*.parquet")) == copy
    together = list(read_together(parts, ("b",)))
    for name, frame in frames.items():
        for column in (frame.timestamps, frame.values[:, 1:]):
            pieces = [piece.timestamps if column.ndim == 1 else piece.values for of, piece in together if of == name]
            np.testing.assert_array_equal(np.concatenate(pieces), column)
    again = split_dataset(str(tmp_path / "d"), str(tmp_path / "l"), targets, rule, copy)
    for name, part in again.items():
        assert _without_files(part.manifest) == _without_files(parts[name].manifest)
        np.testing.assert_array_equal(part.load().timestamps, frames[name].timestamps)


def test_rows_near_an_event_without_rows_are_in_the_test_set(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", np.zeros((600, 2)))
    # The second lies between two rows, the third ends before the first row.
    reports = write_reports(tmp_path / "reports.csv", report((60, 70), (300.25, 300.75), (-20, -5)))
    data, labels = str(tmp_path / "data"), str(tmp_path / "labels")
    label_dataset(data, str(reports), labels, ReportColumns(), strict=False)
    rule = SplitRule(window_hours=0.25, block_hours=0.5, val_fraction=0.2, seed=0)
    targets = {name: str(tmp_path / name) for name in SETS}
    parts = split_dataset(data, labels, targets, rule)
    minutes = (parts["test"].load().timestamps - nanoseconds("2023-01-01")) // MINUTE
    assert minutes.tolist() == [*range(10), *range(45, 85), *range(286, 316)]


@given(rule=RULES, reported=events(0, 550), size=st.integers(1, 600), back=st.integers(-1, 1))
def test_views_have_the_rows_and_labels_of_copies(
    rule: SplitRule, reported: tuple[Event, ...], size: int, back: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also where events begin or end at the first or last row of a file, or a nanosecond beside it."""
    folder, rows = tmp_path_factory.mktemp("split"), 600
    data, labels = str(folder / "data"), str(folder / "labels")
    origin = nanoseconds("2023-01-01")
    write_dataset(data, np.arange(2 * rows).reshape(rows, 2), partition_rows=max(size, 50))
    edge = Event(id="edge", start=origin + min(size, 590) * MINUTE + back, end=origin + 595 * MINUTE + back)
    shifted = [
        event.model_copy(update={"start": event.start + origin, "end": event.end + origin}) for event in reported
    ]
    _label(data, labels, (*shifted, edge))
    sets: dict[str, dict[str, object]] = {}
    for name, copy in (("views", False), ("copies", True)):
        targets = {of: str(folder / name / of) for of in SETS}
        try:
            parts = split_dataset(data, labels, targets, rule, copy)
        except InputError as error:  # a set is empty
            sets[name] = {"refused": str(error)}
            continue
        frames = {of: part.load() for of, part in parts.items()}
        sets[name] = {of: [frame.timestamps, frame.values, frame.labels] for of, frame in frames.items()}
        series = Dataset.open(labels).load()
        assert series.labels is not None
        chosen = np.isin(series.timestamps, frames["test"].timestamps)
        np.testing.assert_array_equal(frames["test"].labels, series.labels[chosen])
    np.testing.assert_equal(sets["views"], sets["copies"])


def _label(data: str, target: str, reported: tuple[Event, ...]) -> None:
    """Write the label series of events."""
    with DatasetWriter(target, TIME, ()) as writer:
        for frame in Dataset.open(data).frames(()):
            labels = inside_any(frame.timestamps, reported).astype(np.int8)
            writer.write(Frame(frame.timestamps, frame.values, labels))
        writer.commit(events=reported)


@given(rule=RULES, events=EVENTS, rare=EVENTS)
def test_rare_nominal_rows_are_tested_and_move_no_other_row(
    rule: SplitRule, events: tuple[Event, ...], rare: tuple[Event, ...]
) -> None:
    timestamps = np.arange(-200, 2300, dtype=np.int64) * MINUTE
    draw = _draw(timestamps, events, rule)
    without, found = assign(timestamps, events, draw), assign(timestamps, events, draw, rare)
    in_rare = inside_any(timestamps, rare)
    for name in SETS:
        expected = without[name] | in_rare if name == "test" else without[name] & ~in_rare
        np.testing.assert_array_equal(found[name], expected)


def test_what_operators_judged_goes_with_the_test_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_dataset(tmp_path / "d", np.arange(1200).reshape(600, 2), partition_rows=130)
    write_reports(tmp_path / "r.csv", report((300, 330)))
    said = [("near", 340, "false"), ("far", 500, "false"), ("rare", 100, "rare_nominal")]
    start = nanoseconds("2023-01-01")
    write_feedback(
        str(tmp_path / "f.csv"),
        [
            Feedback(alarm_id=name, start=start + at * MINUTE, end=start + (at + 9) * MINUTE, verdict=Verdict(v), at=0)
            for name, at, v in said
        ],
    )
    data, table, target, feedback = (str(tmp_path / name) for name in ("d", "r.csv", "l", "f.csv"))
    labels = label_dataset(data, table, target, ReportColumns(), feedback_uri=feedback)
    rule = SplitRule(window_hours=0.5, block_hours=0.25, val_fraction=0.3, seed=3)
    targets = {name: str(tmp_path / name) for name in SETS}
    parts = split_dataset(str(tmp_path / "d"), str(tmp_path / "l"), targets, rule, copy=True)
    test = parts["test"].load()
    assert ((test.timestamps - start) // MINUTE).tolist() == [*range(100, 110), *range(270, 360)]
    assert test.labels is not None
    assert int(test.labels.sum()) == 30
    assert parts["test"].manifest.rare_nominal == labels.manifest.rare_nominal != ()
    assert parts["train"].manifest.rare_nominal == ()
    assert parts["test"].manifest.notes["false_alarms"] == 2
    assert parts["test"].manifest.notes["false_alarms_in_test"] == 1
    assert "1 of 2 false alarms lie at least in part within 0.5 hours of an anomaly" in caplog.text
    assert "far" not in caplog.text
    copies = {name: str(tmp_path / f"scaled_{name}") for name in SETS}
    scaled = scale_datasets(parts, fit_scaler(targets["train"], ScalerType.STANDARD), copies)
    assert scaled["test"].manifest.rare_nominal == labels.manifest.rare_nominal

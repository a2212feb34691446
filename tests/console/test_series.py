from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.alarms.alarm import Alarm
from container_component_src.console import series
from container_component_src.console.payload_index import PayloadIndex
from container_component_src.storage import resolve
from tests.console.consoles import CHANNELS, SECOND, START, alarm, payload, write_payload

MILLISECOND = 10**6


def read(root: Path, of: Alarm | None = None) -> dict[str, Any]:
    index = PayloadIndex(resolve(str(root)), now=lambda: START)
    index.poll()
    return series.alarm_series(index, of or alarm(), {CHANNELS[0]: (1.0, 2.0)})


def test_measured_and_expected_values_of_the_channels_of_an_alarm(tmp_path: Path) -> None:
    write_payload(tmp_path, payload(START, 60))
    found = read(tmp_path)
    assert found["rows"] == 60
    assert found["times"] == [(START + second * SECOND) // MILLISECOND for second in range(60)]
    assert found["score"]["low"].tolist() == found["score"]["high"].tolist() == [second / 2 for second in range(60)]
    first, second = found["channels"]
    assert (first["channel"], first["share"], first["range"]) == (CHANNELS[0], 0.6, (1.0, 2.0))
    assert second["range"] is None
    assert second["measured"]["low"].tolist() == [2.0 * row + 1 for row in range(60)]
    assert second["expected"]["high"].tolist() == [2.0 * row + 1.5 for row in range(60)]


def test_rows_around_the_alarm_are_shown_and_others_are_not(tmp_path: Path) -> None:
    day = 86_400
    write_payload(tmp_path, *(payload(START + shift * SECOND, 10) for shift in (-day, -60, 300, 1200, day)))
    found = read(tmp_path)
    assert found["rows"] == 30
    assert (found["start"], found["end"]) == (
        (START - 900 * SECOND) // MILLISECOND,
        (START + 1500 * SECOND) // MILLISECOND,
    )


def test_in_many_rows_no_extreme_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_POINTS", 10)
    write_payload(tmp_path, payload(START, 500))
    found = read(tmp_path)
    measured = found["channels"][0]["measured"]
    assert len(found["times"]) == len(measured["low"]) <= 10
    assert (measured["low"][0], measured["high"][-1]) == (0, 998)


def test_a_gap_is_a_point_without_values(tmp_path: Path) -> None:
    write_payload(tmp_path, payload(START, 30), payload(START + 300 * SECOND, 30))
    found = read(tmp_path)
    measured = found["channels"][0]["measured"]["low"]
    assert np.flatnonzero(np.isnan(measured)).tolist() == [30]
    assert found["times"] == sorted(found["times"])


def test_a_missing_value_is_none(tmp_path: Path) -> None:
    write_payload(tmp_path, payload(START, 30, dead=CHANNELS[:1]))
    found = read(tmp_path)
    assert np.isnan(found["channels"][0]["measured"]["low"]).all()
    assert not np.isnan(found["channels"][1]["measured"]["low"]).any()


def test_a_row_that_was_sent_twice_counts_once_and_other_models_do_not(tmp_path: Path) -> None:
    from dataclasses import replace

    other = replace(payload(START + 5 * SECOND, 30), model_version="other")
    write_payload(tmp_path, payload(START, 30), payload(START, 30), other)
    assert read(tmp_path)["rows"] == 30


def test_without_smoothed_scores_the_scores_are_shown(tmp_path: Path) -> None:
    from dataclasses import replace

    write_payload(tmp_path, replace(payload(START, 3), smoothed_scores=None))
    assert read(tmp_path)["score"]["low"].tolist() == [0, 1, 2]


def test_of_a_long_alarm_the_beginning_is_shown(tmp_path: Path) -> None:
    found = read(tmp_path, alarm(seconds=30 * 86_400))
    assert (found["end"] - found["start"]) * MILLISECOND == series.LONGEST
    assert (found["rows"], found["times"], found["channels"]) == (0, [], [])

"""Tests of the files of alarms."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import read_alarms, to_csv, to_ndjson, write_alarms
from container_component_src.errors import InputError
from tests.alarms.alarms import ALARM, alarms

ROOT = Path(__file__).resolve().parents[2]
NAMES = pytest.mark.parametrize("name", ["alarms.ndjson", "alarms.csv", "ALARMS.CSV"])


@NAMES
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(alarms, max_size=4))
def test_what_is_written_is_read(name: str, tmp_path: Path, written: list[Alarm]) -> None:
    uri = str(tmp_path / name)
    write_alarms(uri, written)
    assert read_alarms(uri) == written


def test_ndjson_has_an_object_a_line_with_times_in_utc() -> None:
    first, second = to_ndjson([ALARM, ALARM]).splitlines()
    assert first == second
    assert json.loads(first) == {
        "id": "20210104T031502.5Z-1a2b3c4d",
        "state": "closed",
        "start": "2021-01-04T03:15:02.500000+00:00",
        "raised": "2021-01-04T03:15:04.500000+00:00",
        "end": "2021-01-04T03:16:02.500000+00:00",
        "peak": "2021-01-04T03:15:32.500000+00:00",
        "peak_score": 412.5,
        "threshold": 250.25,
        "rows": 61,
        "channels": [
            {"channel": "cabin_fan_speed", "share": 0.75},
            {"channel": "cabin_fan_current", "share": 0.125},
        ],
        "subsystem": "ventilation",
        "model_version": "1a2b3c4d5e6f",
        "events": ["AR-7"],
    }


def test_csv_opens_as_a_table(tmp_path: Path) -> None:
    write_alarms(str(tmp_path / "alarms.csv"), [ALARM, ALARM.model_copy(update={"events": None})])
    table = pd.read_csv(tmp_path / "alarms.csv", parse_dates=["start", "raised", "end", "peak"])
    assert list(table.columns) == list(Alarm.model_fields)
    assert [time.value for time in table["start"]] == [ALARM.start] * 2
    assert json.loads(table["channels"][0])[0] == {"channel": "cabin_fan_speed", "share": 0.75}


def test_a_file_that_a_spreadsheet_has_saved_is_read(tmp_path: Path) -> None:
    """With a byte order mark, and a blank line at the end."""
    for name, text in (("alarms.csv", to_csv([ALARM])), ("alarms.ndjson", to_ndjson([ALARM]))):
        (tmp_path / name).write_text(text + "\n", encoding="utf-8-sig", newline="")
        assert read_alarms(str(tmp_path / name)) == [ALARM]


LINE = to_ndjson([ALARM])
ROWS = to_csv([ALARM])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.ndjson", LINE + LINE[:50], "alarm 2 cannot be read"),
        ("a.ndjson", LINE.replace('"rows":61,', ""), "alarm 1 cannot be read .*key 'rows' is missing"),
        ("a.ndjson", LINE.replace('"rows"', '"lines"'), "key 'lines' is not a known key"),
        ("a.ndjson", LINE.replace("closed", "gone"), "key 'state' is wrong"),
        ("a.ndjson", LINE.replace("2021-01-04T03:15:02.500000+00:00", "yesterday"), "key 'start' is wrong.*yesterday"),
        ("a.ndjson", "[]\n", "alarm 1 cannot be read"),
        ("a.ndjson", "[" * 100_000, "alarm 1 cannot be read"),
        ("a.ndjson", b"\xff\xfe\x00", "alarm 1 cannot be read"),
        ("a.csv", ROWS[:-30], "alarm 1 cannot be read"),
        ("a.csv", ROWS.replace(",rows,", ",lines,"), "key 'lines' is not a known key"),
        ("a.csv", ROWS.replace("channels,", ""), "there are more cells than columns"),
        ("a.csv", ROWS.replace("412.5", "high"), "key 'peak_score' is wrong"),
        ("a.csv", ROWS.replace("closed,", '"closed'), "alarm 1 cannot be read"),
        ("a.csv", "x" * 200_000 + "\n1\n", "alarm 1 cannot be read"),
    ],
)
def test_a_damaged_file_is_refused_in_a_line(name: str, content: str | bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=reason) as refused:
        read_alarms(str(tmp_path / name))
    assert str(refused.value).startswith(f"{tmp_path / name}: alarm ")
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.ndjson"):
        read_alarms(str(tmp_path / "absent.ndjson"))


def test_the_documented_examples_are_such_files(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8").partition("## Alarm files")[2]
    for name, language in (("alarms.ndjson", "json"), ("alarms.csv", "csv")):
        example = text.partition(f"```{language}\n")[2].partition("```")[0]
        (tmp_path / name).write_text(example)
        assert read_alarms(str(tmp_path / name)) == [ALARM]
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == list(Alarm.model_fields)


@pytest.mark.parametrize(
    "damage",
    [
        {"start": "NaT+00:00"},
        {"end": "+00:00"},
        {"peak": "9999-01-01T00:00:00+00:00"},
        {"peak_score": float("inf")},
        {"threshold": float("nan")},
    ],
)
def test_a_time_or_score_that_is_none_is_refused(damage: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "alarms.ndjson"
    file.write_text(json.dumps(json.loads(ALARM.model_dump_json()) | damage))
    with pytest.raises(InputError, match="alarm 1 cannot be read"):
        read_alarms(str(file))

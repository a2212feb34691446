"""What `query_model` prints."""

from typing import Any

import pandas as pd
import pytest

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import AlarmState, ChannelShare
from container_component_src.serving.client.query import Answered
from container_component_src.serving.client.query_output import Summary
from container_component_src.steps.serving import QueryModel

START = 1_600_000_000 * 10**9


def alarm(seconds: int, subsystem: str = "cooling") -> Alarm:
    start = START + seconds * 10**9
    shares = (ChannelShare("coolant", 0.75), ChannelShare("fan", 0.25))
    return Alarm(
        id="1", state=AlarmState.CLOSED, start=start, raised=start, end=start + 3_723 * 10**9, peak=start,
        peak_score=12.3456, threshold=4.0, rows=3, channels=shares, subsystem=subsystem, model_version="v",
    )  # fmt: skip


def printed(*alarms: Alarm, timed: bool = True, above: int = 4, **options: Any) -> str:
    """The output for ten rows, the first of which are above the threshold, in two batches."""
    summary = Summary(QueryModel.model_validate({"url": "http://host", **options}))
    table = pd.DataFrame({"score": range(10), "threshold": 4.0, "alarm": [row < above for row in range(10)]})
    for rows in (slice(3), slice(3, None)):
        summary.add(Answered(table[rows].copy(), "1234567890abcdef", 10, 10, {}, () if timed else None))
    summary.add(Answered(pd.DataFrame(), "", 10, 10, {}, alarms if timed else None))
    return summary.text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": 4}, "6 more rows not shown"),
        ({"rows": 9}, "1 more row not shown"),
        ({"rows": 10}, ""),
        ({"rows": 3, "alarms_only": True}, "1 more row not shown"),
        ({"rows": 4, "alarms_only": True}, ""),
        ({"rows": 2, "output": "rows.csv"}, ""),
    ],
)
def test_hidden_rows_are_counted(options: dict[str, Any], said: str) -> None:
    text = printed(**options)
    assert said in text if said else "not shown" not in text


def test_alarms_are_intervals_of_which_the_first_are_shown() -> None:
    lines = printed(alarm(0), alarm(9000, ""), alarm(20_000), rows=2, output="rows.csv").splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    channels = "coolant (75%), fan (25%)"
    assert rows == [
        ["2020-09-13T12:26:40Z", "1:02:03", "12.35", "cooling", channels],
        ["2020-09-13T14:56:40Z", "1:02:03", "12.35", "", channels],
    ]
    assert lines[-2] == "1 more alarm not shown (--rows)"


def test_the_last_line_counts_rows_and_alarms() -> None:
    model = "model version 1234567890ab, threshold 4 nats"
    assert printed(alarm(0)).splitlines()[-1] == f"10 rows, 4 rows above the alarm threshold, 1 alarm, {model}"
    assert printed(alarms="a.csv").splitlines()[-1].endswith(f", 0 alarms, {model}; written: a.csv")
    assert ", no alarms without timestamps, " in printed(timed=False)


def test_a_narrow_table_keeps_whole_times() -> None:
    summary = Summary(QueryModel(url="http://host", timestamp_col="time"))
    time = pd.Timestamp("2024-03-01T12:00:00.057176", tz="UTC")
    names = [["long_name_of_a_channel"]] * 2
    table = pd.DataFrame(
        {"time": time, "score": 1.0, "alarm": False, "smoothed_score": 1.0, "window_rows": 1, "top_channel": names,
         "top_share": [[0.5]] * 2, "imputed_channels": names, "dead_channels": names}
    )  # fmt: skip
    summary.add(Answered(table, "v", 2, 2, {}, ()))
    assert summary.text().count("2024-03-01T12:00:00.057176Z") == 2

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.timestamps import timestamp_of, timestamps_of

NOON = 1_709_294_400_000_000_000  # 2024-03-01T12:00:00Z


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01T12:00:00Z", "2024-03-01T12:00:00", "2024-03-01 12:00:00", "2024-03-01T12:00", "2024-03-01T12",
        "2024-03-01T12:00:00.000000000Z", "2024-03-01T14:00:00+02:00", "2024-03-01T14:00:00+0200",
        "2024-03-01T14+02", "20240301T120000Z", "20240301T1200", "20240301T140000.5+0200",
    ],
)  # fmt: skip
def test_iso_8601_is_read(text: str) -> None:
    assert timestamps_of([text], 1)[0] // 10**9 == NOON // 10**9
    assert timestamp_of(text) == timestamps_of([text], 1)[0]


@pytest.mark.parametrize(
    "text",
    [
        "now", "today", "NOW", "NaT", "nan", "None", "", "epoch", "noon", "yesterday",
        "2024", "2024-03", "202403", "20240301", "20240301 120000", "2024-061", "2024-W09-5", "12:30",
        "1", "12.5", "1709294400", "1709294400000000000", "1.7e18", "0x17", "٢٠٢٤-03-01",
        "2024-3-1", "2024/03/01", "01/03/2024", "Mar 1 2024", "1 March 2024",
        " 2024-03-01", "2024-03-01 ", "2024-03-01\n", "2024-03-01T", "2024-03-01Z", "2024-03-01T12:00:00 UTC",
        "2024-03-01T12:00:00 Europe/Berlin", "2024-03-01T12:00:00 +02:00", "2024-03-01T12:00:00+2",
        "2024-03-01T12:00:00+24:00", "2024-03-01T1200", "20240301T12:00", "2024-03-01T12:00:00.0000000001",
        "2024-02-30", "2024-03-01T24:00:00", "2024-03-01T12:00:60", "0000-01-01", "1500-01-01", "9999-12-31",
        "-2024-03-01", "P1D", "2024-03-01/2024-03-02",
    ],
)  # fmt: skip
def test_nothing_else_is_taken_for_a_time(text: str) -> None:
    with pytest.raises(RequestError, match=r"row 1, timestamp .*: not a time in ISO 8601"):
        timestamps_of(["2024-03-01", text], 2)
    with pytest.raises(RequestError, match="neither ISO 8601 nor whole nanoseconds"):
        timestamp_of(text)


@pytest.mark.parametrize("time", [True, 1.7e18, None, float("nan"), [], {}, b"2024-03-01", datetime(2024, 3, 1)])
def test_values_of_other_types_are_refused(time: object) -> None:
    with pytest.raises(RequestError, match="row 0, timestamp"):
        timestamps_of([time], 1)
    with pytest.raises(RequestError, match="neither ISO 8601"):
        timestamp_of(time)


@pytest.mark.parametrize("time", [0, -1, 2024, 20240301, 1_709_294_400, 1_709_294_400_000_000, 2**63, 10**400])
def test_numbers_other_than_nanoseconds_are_refused(time: int) -> None:
    with pytest.raises(RequestError, match=r"row 0, timestamp .*: not in nanoseconds"):
        timestamps_of([time], 1)


@given(
    time=st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31)),
    zone=st.none() | st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    separator=st.sampled_from("T "),
)
def test_what_python_writes_as_iso_8601_is_read(time: datetime, zone: timezone | None, separator: str) -> None:
    text = time.replace(tzinfo=zone).isoformat(separator)
    expected = pd.Timestamp(time.replace(tzinfo=zone or UTC)).as_unit("ns").value
    assert timestamps_of([text], 1)[0] == timestamp_of(text) == expected

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import Rows, scaled
from container_component_src.serving.protocol.v1 import rows_of_json, values_of
from tests.helpers import Counting
from tests.serving.bad_requests import BAD_BODIES, BAD_ROWS, LIST
from tests.serving.bundles import CHANNELS, ROW, SCALER

VALUES = st.floats(-1e6, 1e6, width=32) | st.integers(-(10**6), 10**6)
DEEP = 100_000
NAMES = 3_000
IGNORED = frozenset(SCALER.absent)
NANOSECONDS = 1_700_000_000_000_000_000


def read(body: object) -> Rows:
    return rows_of_json(json.dumps(body).encode(), CHANNELS, IGNORED)


def scaled_rows(rows: list[object]) -> np.ndarray:
    return scaled(Rows(values_of(rows, CHANNELS, IGNORED)), CHANNELS, SCALER)


@pytest.mark.parametrize(("body", "message"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_without_rows_is_refused(body: object, message: str) -> None:
    with pytest.raises(RequestError) as error:
        read(body)
    assert message in str(error.value)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * DEEP], ids=["empty", "no text", "cut off", "deep"])
def test_bytes_that_are_not_json_are_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match="not JSON"):
        rows_of_json(body, CHANNELS)


@pytest.mark.parametrize(
    ("row", "message"),
    [case for name, case in BAD_ROWS.items() if name != "beyond float32 when scored"],  # the predictor's to see
    ids=[name for name in BAD_ROWS if name != "beyond float32 when scored"],
)
def test_an_invalid_row_is_refused_by_index_and_channel(row: object, message: str) -> None:
    with pytest.raises(RequestError) as error:
        scaled_rows([LIST, row])
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"instances": [[1, 2, 3]], "instances": [[4, 5, 6]]}', "'instances' twice"),
        (
            b'{"instances": [[1, 2, 3], {"fan_speed": 1, "cabin_pressure": 2, "fan_speed": 3,'
            b' "coolant_temperature": 4}]}',
            "row 1, channel 'fan_speed': given twice",
        ),
        (b'{"instances": [[1, 2, 3]], "timestamp": ["2024-01-01"]}', "unknown key 'timestamp'"),
    ],
    ids=["instances", "channel", "unknown key"],
)
def test_duplicate_and_unknown_keys_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        rows_of_json(body, CHANNELS)
    assert message in str(error.value)


@pytest.mark.parametrize("known", [True, False], ids=["known channels", "unknown names"])
def test_a_repeated_name_takes_one_pass(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"channel {number}" for number in range(NAMES)]
    pairs = ", ".join(f'"{name}": 1' for name in [*names, names[-1]])
    Counting.in_json(monkeypatch)
    with Counting.few(10 * NAMES), pytest.raises(RequestError, match=r"given twice" if known else "missing"):
        rows_of_json(b'{"instances": [{%s}]}' % pairs.encode(), names if known else CHANNELS)


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e999", b"3.4e38"])
def test_a_value_that_scaling_would_hide_is_refused(value: bytes) -> None:
    body = b'{"instances": [[1, %s, 3]]}' % value  # 3.4e38 / 0.25 overflows
    with pytest.raises(RequestError, match=r"row 0, channel 'coolant_temperature': .* not finite, or too large"):
        scaled(rows_of_json(body, CHANNELS), CHANNELS, SCALER)


@given(rows=st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=5), order=st.permutations(range(3)))
def test_lists_and_objects_in_any_order_have_the_same_values(rows: list[tuple[float, ...]], order: list[int]) -> None:
    named = [{CHANNELS[column]: row[column] for column in order} for row in rows]
    expected = np.array(rows, dtype=float)
    np.testing.assert_array_equal(values_of([list(row) for row in rows], CHANNELS), expected)
    np.testing.assert_array_equal(values_of(named, CHANNELS), expected)


def test_an_integer_beyond_floats_is_refused() -> None:
    body = b'{"instances": [[1, 2, 3], [1, -1%s, 3]]}' % (b"0" * 400)
    with pytest.raises(RequestError, match="row 1, channel 'coolant_temperature': an integer too large"):
        rows_of_json(body, CHANNELS)


@pytest.mark.parametrize("value", [0, None, "OPEN", "12:30"])
def test_a_channel_that_the_training_data_lacks_is_ignored(value: object) -> None:
    np.testing.assert_array_equal(read({"instances": [{"valve_state": value, **ROW}]}).values, [LIST])


@pytest.mark.parametrize(
    "times",
    [
        ["2023-11-14T22:13:20Z", "2023-11-14T23:13:21+01:00"],
        ["2023-11-14 22:13:20", "2023-11-14T22:13:21.000000000"],
        [NANOSECONDS, NANOSECONDS + 10**9],
    ],
    ids=["zones", "UTC by default", "nanoseconds"],
)
def test_timestamps_are_read(times: list[object]) -> None:
    rows = read({"instances": [LIST, LIST], "timestamps": times})
    assert rows.timestamps is not None
    assert rows.timestamps.tolist() == [NANOSECONDS, NANOSECONDS + 10**9]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([NANOSECONDS], "1 timestamps for 2 rows"),
        ([NANOSECONDS, NANOSECONDS], "row 1, timestamp 1700000000000000000: not after that of row 0"),
        (["2024-01-02", "2024-01-01"], "row 1, timestamp 2024-01-01: not after"),
        (["2024-01-02", "yesterday"], "row 1, timestamp 'yesterday': not a time"),
        ([1_700_000_000, 1_700_000_001], "row 0, timestamp 1700000000: not in nanoseconds"),
        (["2024-01-02", NANOSECONDS], "row 1, timestamp: neither"),
        ([1.5, 2.5], "row 0, timestamp: neither"),
        ([None, None], "row 0, timestamp: neither"),
        ({}, '"timestamps" is an object'),
    ],
)
def test_an_invalid_timestamp_is_refused_by_row(times: object, message: str) -> None:
    with pytest.raises(RequestError) as error:
        read({"instances": [LIST, LIST], "timestamps": times})
    assert message in str(error.value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ROW, "valve_state", "x"]), inner),
    max_leaves=12,
)


@given(
    body=JSON_VALUES
    | st.fixed_dictionaries(
        {"instances": st.lists(JSON_VALUES, max_size=3)}, optional={"timestamps": JSON_VALUES, "x": JSON_VALUES}
    )
)
def test_every_request_is_scaled_or_refused(body: object) -> None:
    try:
        values = scaled(read(body), CHANNELS, SCALER)
    except RequestError:
        return
    assert values.shape[1] == len(CHANNELS)
    assert np.isfinite(values).all()

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.serving.inputs import RequestError, instances_of, telemetry_of, values_of
from tests.serving.bad_requests import BAD_BODIES, BAD_ROWS, LIST
from tests.serving.bundles import CHANNELS, ROW, SCALER

VALUES = st.floats(-1e6, 1e6, width=32) | st.integers(-(10**6), 10**6)
DEEP = 100_000


@pytest.mark.parametrize(("body", "message"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_without_rows_is_refused(body: object, message: str) -> None:
    with pytest.raises(RequestError) as error:
        instances_of(body)
    assert message in str(error.value)


def test_bytes_are_read_as_json() -> None:
    assert instances_of(json.dumps({"instances": [LIST, ROW]}).encode()) == [LIST, ROW]


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * DEEP], ids=["empty", "no text", "cut off", "deep"])
def test_bytes_that_are_not_json_are_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match="not JSON"):
        instances_of(body)


@pytest.mark.parametrize(
    ("row", "message"),
    [case for name, case in BAD_ROWS.items() if name != "beyond float32 when scored"],  # the predictor's to see
    ids=[name for name in BAD_ROWS if name != "beyond float32 when scored"],
)
def test_a_bad_row_is_refused_by_index_and_channel(row: object, message: str) -> None:
    with pytest.raises(RequestError) as error:
        telemetry_of([LIST, row], CHANNELS, SCALER)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3.4e38])
def test_a_value_that_scaling_would_hide_is_refused(value: float) -> None:
    row = {**ROW, "coolant_temperature": value}  # 3.4e38 / 0.25 overflows
    with pytest.raises(RequestError, match=r"row 0, channel 'coolant_temperature': .* not finite, or too large"):
        telemetry_of([row], CHANNELS, SCALER)


@given(rows=st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=5), order=st.permutations(range(3)))
def test_rows_mean_the_same_as_lists_and_as_objects_in_any_order(
    rows: list[tuple[float, ...]], order: list[int]
) -> None:
    named = [{CHANNELS[column]: row[column] for column in order} for row in rows]
    expected = np.array(rows, dtype=float)
    np.testing.assert_array_equal(values_of([list(row) for row in rows], CHANNELS), expected)
    np.testing.assert_array_equal(values_of(named, CHANNELS), expected)


def test_an_integer_beyond_floats_is_refused() -> None:
    body = b'{"instances": [[1, 2, 3], [1, -1%s, 3]]}' % (b"0" * 400)
    with pytest.raises(RequestError, match="row 1, channel 'coolant_temperature': an integer too large"):
        telemetry_of(instances_of(body), CHANNELS, SCALER)


def test_rows_are_scaled_as_the_scaler_does() -> None:
    telemetry = telemetry_of([ROW, LIST], CHANNELS, SCALER)
    np.testing.assert_array_equal(telemetry.observed, [LIST, LIST])
    np.testing.assert_array_equal(telemetry.scaled, np.array([[-0.25, 1.0, 0.25]] * 2, dtype=np.float32))


@pytest.mark.parametrize("value", [0, None, "OPEN"])
def test_a_channel_that_the_scaler_dropped_is_ignored(value: object) -> None:
    telemetry = telemetry_of([{"valve_state": value, **ROW}], CHANNELS, SCALER)
    np.testing.assert_array_equal(telemetry.observed, [LIST])


def test_without_a_scaler_values_stay_as_they_are() -> None:
    telemetry = telemetry_of([ROW], CHANNELS, scaler=None)
    np.testing.assert_array_equal(telemetry.scaled, np.array([LIST], dtype=np.float32))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ROW, "valve_state", "x"]), inner),
    max_leaves=12,
)


@given(body=JSON_VALUES | st.fixed_dictionaries({"instances": st.lists(JSON_VALUES, max_size=3)}))
def test_whatever_a_request_holds_it_is_scaled_or_refused(body: object) -> None:
    try:
        telemetry = telemetry_of(instances_of(body), CHANNELS, SCALER)
    except RequestError:
        return
    assert telemetry.scaled.shape[1] == len(CHANNELS)
    assert np.isfinite(telemetry.scaled).all()

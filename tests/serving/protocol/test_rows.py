import numpy as np
import pytest

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import Rows, imputes, scaled
from tests.serving.bad_requests import LIST
from tests.serving.bundles import CHANNELS, SCALER


def test_rows_are_scaled_as_the_training_data() -> None:
    values = scaled(Rows(np.array([LIST, LIST])), CHANNELS, SCALER)
    np.testing.assert_array_equal(values, np.array([[-0.25, 1.0, 0.25]] * 2, dtype=np.float32))


def test_without_a_scaler_values_do_not_change() -> None:
    values = scaled(Rows(np.array([LIST])), CHANNELS, scaler=None)
    np.testing.assert_array_equal(values, np.array([LIST], dtype=np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_missing_value_is_scaled_as_the_centre_of_its_channel(value: float) -> None:
    values = np.array([LIST, LIST], dtype=np.float64)
    values[1, 1] = value
    with pytest.raises(RequestError, match=r"row 1, channel 'coolant_temperature': .* set the parameter"):
        scaled(Rows.of(values, None, impute=False), CHANNELS, SCALER)
    found = scaled(Rows.of(values, None, impute=True), CHANNELS, SCALER)
    values[1, 1] = SCALER.centre[1]
    np.testing.assert_array_equal(found, scaled(Rows(values), CHANNELS, SCALER))
    assert found[1, 1] == 0


@pytest.mark.parametrize("value", [1e300, -3.4e38])
def test_a_value_that_is_too_large_is_not_missing(value: float) -> None:
    values = np.array([[LIST[0], value, LIST[2]]])
    with pytest.raises(RequestError, match=r"row 0, channel 'coolant_temperature': .*too large"):
        scaled(Rows.of(values, None, impute=True), CHANNELS, SCALER)


@pytest.mark.parametrize(
    ("parameters", "default", "expected"),
    [
        ({}, None, False),
        ({}, False, False),
        ({}, True, True),
        ({"impute_missing": None}, True, True),
        ({"impute_missing": True}, False, True),
        ({"impute_missing": False}, True, False),
        ({"impute_missing": False}, None, False),
    ],
)
def test_a_request_decides_and_otherwise_the_bundle(
    parameters: dict[str, object], default: bool | None, expected: bool
) -> None:
    assert imputes(parameters, default) is expected


@pytest.mark.parametrize(
    ("value", "default", "message"),
    [
        (1, False, "is a number; send true or false"),
        ("true", False, "is a text; send true or false"),
        ({}, True, "is an object; send true or false"),
        (True, None, "send the rows to the transformer"),
    ],
)
def test_an_impossible_wish_is_refused(value: object, default: bool | None, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        imputes({"impute_missing": value}, default)

import time

import numpy as np
import pytest

from container_component_src.stream.rows import MalformedRowError, RowReader

TIME = '"time":"2024-01-01T00:00:00Z"'
SECOND = 10**9


@pytest.fixture
def reader() -> RowReader:
    return RowReader(("a", "b:c"), "time", 200, max_ahead=60)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (f'{{{TIME},"a":1,"b:c":2.5}}', [1, 2.5]),
        (f'{{{TIME},"a":1e-3,"b:c":null,"mode":"on: yes","flag":true}}', [0.001, np.nan]),
        (f"{{{TIME}}}", [np.nan, np.nan]),
        (f'{{{TIME},"a":NaN,"b:c":-Infinity}}', [np.nan, -np.inf]),
        ('{"time":1704067200000000000,"a":1,"b:c":2}', [1, 2]),
    ],
)
def test_a_row(text: str, values: list[float], reader: RowReader) -> None:
    row = reader.read(text.encode(), 5.0)
    assert (row.timestamp, row.received) == (1_704_067_200 * SECOND, 5.0)
    np.testing.assert_array_equal(row.values, values)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "a list instead of an object"),
        ("5", "a number instead of an object"),
        ("[" * 190, "not JSON"),
        ("\udcff", "not JSON"),
        ('{"a":1}', "no timestamp 'time'"),
        ('{"time":null,"a":1}', "no timestamp 'time'"),
        ('{"time":"yesterday"}', "neither ISO 8601"),
        ('{"time":1704067200}', "neither ISO 8601"),
        ('{"time":true}', "neither ISO 8601"),
        ('{"time":"2300-01-01"}', "neither ISO 8601"),
        (f'{{{TIME},"a":"1"}}', "channel 'a' is a text"),
        (f'{{{TIME},"b:c":true}}', "channel 'b:c' is a boolean"),
        (f'{{{TIME},"a":[1]}}', "channel 'a' is a list"),
        (f'{{{TIME},"a":1,"a":1}}', "'a' is given twice"),
        (f'{{{TIME},"a":1{"0" * 400}}}', "longer than 200 bytes"),
        (None, "longer than 200 bytes"),
    ],
)
def test_no_row(text: str | None, reason: str, reader: RowReader) -> None:
    with pytest.raises(MalformedRowError, match=reason):
        reader.read(None if text is None else text.encode(errors="surrogateescape"), 0.0)


def test_an_integer_that_no_float_holds() -> None:
    with pytest.raises(MalformedRowError, match="too large for a float"):
        RowReader(("a",), "time", 1000, 60).read(f'{{{TIME},"a":1{"0" * 400}}}'.encode(), 0.0)


@pytest.mark.parametrize(("ahead", "accepted"), [(-5, True), (50, True), (70, False)])
def test_a_timestamp_in_the_future_is_refused(ahead: float, accepted: bool, reader: RowReader) -> None:
    text = f'{{"time":{round((time.time() + ahead) * SECOND)}}}'.encode()
    if accepted:
        reader.read(text, 0.0)
    else:
        with pytest.raises(MalformedRowError, match="in the future"):
            reader.read(text, 0.0)

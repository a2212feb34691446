"""Which columns are channels: all of numbers, whatever their type; the others are named with a reason."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from container_component_src.errors import InputError
from container_component_src.telemetry.arrow import values_of
from container_component_src.telemetry.columns import (
    WHOLE,
    check_excluded,
    columns_of,
    greatest_magnitudes,
    names_and_reasons,
)
from tests.helpers import TIME

NUMBERS: dict[str, tuple[pa.Array, list[float]]] = {
    "float16": (pa.array(np.array([1, 2], np.float16)), [1, 2]),
    "double": (pa.array([1.5, None]), [1.5, np.nan]),
    "int8": (pa.array([-1, None], pa.int8()), [-1, np.nan]),
    "int64": (pa.array([2**24 + 1, 0]), [2**24, 0]),
    "uint64": (pa.array([2**64 - 1, 0], pa.uint64()), [2.0**64, 0]),
    "bool": (pa.array([True, None]), [1, np.nan]),
    "decimal": (pa.array([1, None], pa.decimal128(9, 2)), [1, np.nan]),
    "null": (pa.nulls(2), [np.nan, np.nan]),
}
OTHERS: dict[str, tuple[pa.Array, str]] = {
    "text": (pa.array(["a", "b"]), "text"),
    "large_text": (pa.array(["a", "b"], pa.large_string()), "text"),
    "categories": (pa.array(["a", "b"]).dictionary_encode(), "categories"),
    "date": (pa.array([1, 2], pa.date32()), "times (date32[day])"),
    "time": (pa.array([1, 2], pa.time32("s")), "times (time32[s])"),
    "duration": (pa.array([1, 2], pa.duration("s")), "times (duration[s])"),
    "timestamp": (pa.array([1, 2], pa.timestamp("s")), "times (timestamp[s])"),
    "binary": (pa.array([b"a", b"b"]), "not numbers (binary)"),
    "list": (pa.array([[1.0], [2.0]]), "not numbers (list<item: double>)"),
    "struct": (pa.array([{"a": 1.0}, {"a": 2.0}]), "not numbers (struct<a: double>)"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_every_type_are_channels(name: str) -> None:
    column, values = NUMBERS[name]
    table = pa.table({name: column, TIME: [0, 1]})
    columns = columns_of(table.schema, TIME)
    assert (columns.channels, columns.left_out) == ((name,), {})
    found = values_of(table, columns.channels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], np.array(values, np.float32))


@pytest.mark.parametrize("name", OTHERS)
def test_other_columns_are_left_out_with_a_reason(name: str) -> None:
    column, reason = OTHERS[name]
    assert columns_of(pa.table({TIME: [0, 1], name: column}).schema, TIME).left_out == {name: reason}


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__", "__null_dask_index__"])
def test_row_numbers_are_no_channel(name: str) -> None:
    assert columns_of(pa.schema([(name, pa.int64())]), TIME).left_out == {name: "index of the rows"}


def test_an_index_is_no_channel_and_the_time_may_be_one() -> None:
    index = pd.MultiIndex.from_arrays([pd.date_range("2023", periods=2, tz="UTC"), [7, 8]], names=[TIME, "unit"])
    schema = pa.Schema.from_pandas(pd.DataFrame({"a": [1, 2]}, index=index))
    assert columns_of(schema, TIME).channels == ("a",)
    assert columns_of(schema, TIME).left_out == {"unit": "index of the rows"}


def test_whole_numbers_are_known_by_their_type_or_by_how_they_are_written() -> None:
    fields = [pa.field("a", pa.int64()), pa.field("b", pa.float64(), metadata=WHOLE), pa.field("c", pa.float64())]
    assert columns_of(pa.schema(fields), TIME).whole == ("a", "b")
    table = pa.table({"a": [-(2**40), 1], "b": [None, np.nan], "c": pa.nulls(2)})
    assert greatest_magnitudes(table, ("a", "c")) == {"a": 2**40, "c": 0}


def test_names_and_reasons() -> None:
    assert names_and_reasons({"mode": "text", "": "index of the rows"}) == "'mode' (text), '' (index of the rows)"


@pytest.mark.parametrize(
    ("exclude", "left_out"),
    [
        ((), set()),
        (("sample_counter",), {"sample_counter"}),
        (("sample_*", "temp[1]"), {"sample_counter", "sample_rate", "temp[1]"}),
        (("Sample_*", "temp"), set()),  # as names are: by case, and whole
        (("*",), {"sample_counter", "sample_rate", "temp[1]"}),
    ],
)
def test_columns_of_numbers_are_excluded_by_name_or_pattern(exclude: tuple[str, ...], left_out: set[str]) -> None:
    names = ("sample_counter", "sample_rate", "temp[1]")
    schema = pa.schema([("mode", pa.string()), *((name, pa.int64()) for name in names), (TIME, pa.int64())])
    columns = columns_of(schema, TIME, exclude)
    assert columns.channels == columns.whole == tuple(name for name in names if name not in left_out)
    assert columns.left_out == {"mode": "text"} | dict.fromkeys(left_out, "excluded by exclude_channels")


def test_an_excluded_name_that_no_column_has_is_refused_with_similar_ones() -> None:
    check_excluded("data", ["sample_counter", "mode"], ("sample_*", "mode"))
    with pytest.raises(InputError, match=r"data: .* 'sample_count' of .*did you mean 'sample_counter'\?"):
        check_excluded("data", ["sample_counter", "mode"], ("mode", "sample_count"))
    with pytest.raises(InputError, match=r"'zzz\*' of exclude_channels; correct or remove it"):
        check_excluded("data", ["mode"], ("zzz*",))

"""CSV files: any delimiter, line end and cut into parts give the same table; what cannot be read is explained."""

import io
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.telemetry import csv_table
from container_component_src.telemetry.columns import check_numbers, columns_of
from container_component_src.telemetry.csv_table import CsvTable
from tests.helpers import TIME, nanoseconds, telemetry

ROWS = telemetry(rows=40, count=range(40), valve=[True, None] * 20, absent=None)


def _open(content: bytes | str) -> CsvTable:
    return CsvTable("2023.csv", io.BytesIO(content.encode() if isinstance(content, str) else content), TIME)


def _frame(table: CsvTable) -> pd.DataFrame:
    batches = [batch for part in range(table.parts) for batch in table.batches(7, part)]
    frame: pd.DataFrame = pa.Table.from_batches(batches, table.schema).to_pandas()
    return frame


@given(
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(["utf-8", "utf-8-sig"]),
    above=st.sampled_from(["", "\n", "\r\n\r\n"]),
    last_line_end=st.booleans(),
    part_bytes=st.integers(1, 5000),
    quoting=st.sampled_from([0, 1]),
)
def test_the_table_does_not_depend_on_how_it_is_written_and_cut(
    delimiter: str, line_end: str, mark: str, above: str, last_line_end: bool, part_bytes: int, quoting: int
) -> None:
    text = ROWS.to_csv(index=False, sep=delimiter, lineterminator=line_end, quoting=quoting)  # type: ignore[call-overload]
    content = (above + (text if last_line_end else text.removesuffix(line_end))).encode(mark)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_table, "PART_BYTES", part_bytes)
        table = _open(content)
        found = _frame(table)
        assert table.ends(TIME) == (nanoseconds("2023-01-01 00:00"), nanoseconds("2023-01-01 00:39"))
        assert table.read([TIME]).num_rows == sum(batch.num_rows for batch in table.batches(7)) == 40
    assert table.schema.names == list(ROWS.columns)
    columns = columns_of(table.schema, TIME)
    assert columns.channels == ("cabin_pressure", "fan_speed", "mode", "count", "valve", "absent")
    assert columns.whole == ("mode", "count")
    for name in ("cabin_pressure", "fan_speed", "count", "valve", "absent"):
        np.testing.assert_allclose(found[name].astype(float), ROWS[name].astype(float), rtol=1e-6)
    assert found[TIME].tolist() == ROWS[TIME].tolist()


def test_names_lose_the_blanks_around_them_and_may_hold_delimiters() -> None:
    table = _open(f'{TIME} ; "in, out" ; °C\n2023-01-01T00:00:00Z;1 ; 2\n')
    assert table.schema.names == [TIME, "in, out", "°C"]
    assert table.read(["in, out", "°C"]).to_pylist() == [{"in, out": 1.0, "°C": 2.0}]


def test_columns_that_are_read_may_have_others_beside_them_with_one_name() -> None:
    table = _open(f"{TIME},a,mode,mode\n2023-01-01T00:00:00Z,1,x,2\n")
    (batch,) = table.batches(5, columns=["a"])
    assert batch.to_pydict() == {"a": [1.0]}


@pytest.mark.parametrize(
    ("time", "nanosecond"),
    [
        ("2023-01-01 00:00:00+00:00", 0),
        ("2023-01-01T02:00:00.000000001+02:00", 1),
        ("2023-01-01T00:00:00.5Z", 500_000_000),
    ],
)
def test_times_with_a_zone(time: str, nanosecond: int) -> None:
    first = nanoseconds("2023-01-01") + nanosecond
    assert _open(f"a,{TIME}\n1,{time}\n").ends(TIME) == (first, first)


def test_types_of_later_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "_TYPED_BYTES", 30)
    text = f"{TIME},a,b\n2023-01-01T00:00:00Z,1,\n2023-01-01T00:01:00Z,1,\n"
    table = _open(text + "2023-01-01T00:02:00Z,1.5,2\n")
    assert table.read(["a", "b"]).to_pydict() == {"a": [1, 1, 1.5], "b": [None, None, 2]}
    monkeypatch.setattr(csv_table, "PART_BYTES", 30)
    with pytest.raises(InputError, match="line 4, column 'a': invalid value 'off'"):
        _open(text + "2023-01-01T00:02:00Z,off,2\n").read(["a"])


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["1", "0,5"], "numbers and '0,5' in line 3"),
        (["1.234,5"], "numbers and '1.234,5' in line 2"),
        (['"1,234.5"'], "numbers and '1,234.5' in line 2"),
        (["1", "", "NA", "1", "ERR"], "numbers and 'ERR' in line 6"),
        (["", "1", "2", "-"], "numbers and '-' in line 5"),
        (["on", "1", "off"], "text"),
    ],
)
def test_numbers_with_other_values(lines: list[str], found: str) -> None:
    text = "".join(f"2023-01-01T00:{minute:02};{line};x\n" for minute, line in enumerate(lines))
    assert columns_of(_open(f"{TIME};a;b\n{text}").schema, TIME).left_out == {"a": found, "b": "text"}
    with (
        pytest.raises(InputError, match=f"column 'a' has {found}; write numbers") if found != "text" else nullcontext()
    ):
        check_numbers("2023.csv", {"a": found})


ROW = "2023-01-01T00:00:00Z,1\n"
FAULTS: dict[str, tuple[bytes | str, str]] = {
    "long first line": ("a," * 2**20, "more than 1 MiB"),
    "long name": ("a" * 2**18, "not CSV in UTF-8"),
    "empty": ("", "empty"),
    "UTF-16": (f"{TIME},a\n{ROW}".encode("utf-16"), "not CSV in UTF-8"),
    "Latin-1": (f"{TIME},°\n{ROW}".encode("latin-1"), "not CSV in UTF-8"),
    "Latin-1 below": (f"{TIME},a\n2023-01-01T00:00:00Z,°\n".encode("latin-1"), "column 'a' is not in UTF-8; save it"),
    "hexadecimal": (f"{TIME},a\n{ROW}2023-01-01T00:00:00Z,0xF\n", "line 3, column 'a': .*'0xF'"),
    "second 61": (
        f"{TIME},a\n2023-01-01T00:00:61Z,1\n",
        f"line 2, column '{TIME}': .*:61Z.*write times with their zone, like",
    ),
    "a time without zone": (f"{TIME},a\n{ROW}2023-01-01T00:01:00,1\n", f"line 3, column '{TIME}': .*zone"),
    "another year": (f"{TIME},a\n2500-01-01T00:00:00Z,1\n", "line 2"),
    "a time of a local clock": (f"{TIME},a\n{ROW}2023-01-01,1\n", "expected a zone offset in '2023-01-01'; write"),
    "a day before a month": (f"{TIME},a\n31/01/2023 00:00,1\n", "'31/01/2023 00:00'; write times with their zone"),
    "empty lines": (f"\n{TIME},a\n\n{ROW}\r\n\n{ROW}2023,1\n", f"line 8, column '{TIME}'"),
    "a comment above": (f"# of the cabin\n{TIME},a\n{ROW}", "line 2: .*; write the names of the columns into line 1"),
    "more values": (f"{TIME},a\n{ROW}2023-01-01T00:01:00Z,1,2\n", "line 3: Expected 2 columns, got 3"),
    "cut off": (f"{TIME},a\n{ROW}2023-01-01T0", "line 3: Expected 2 columns, got 1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_read_is_explained(name: str) -> None:
    content, problem = FAULTS[name]
    with pytest.raises(InputError, match=problem):
        _open(content).ends(TIME)


def test_a_line_without_an_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "_STEP_BYTES", 16)
    monkeypatch.setattr(csv_table, "_MOST_LINE_BYTES", 64)
    monkeypatch.setattr(csv_table, "_TYPED_BYTES", 8)
    table = _open(f"{TIME},a\n{ROW}2023-01-01T00:00:00Z,1{'0' * 99}\n")
    assert table.rows is None
    monkeypatch.setattr(csv_table, "PART_BYTES", len(ROW) + 1)
    with pytest.raises(InputError, match="a line has more than 64 MiB"):
        table.read(["a"], [0])


def test_a_file_without_values_has_no_rows() -> None:
    assert _open(f"{TIME},a").rows == _open(f"{TIME},a\n\n").rows == 0
    assert _open(f"{TIME},a\n{ROW}").rows is None


def test_most_text_is_left_out() -> None:
    table = _open(f"{TIME},state,number\n2023-01-01T00:00:00Z,on,A1\n2023-01-01T00:01:00Z,,7\n")
    assert columns_of(table.schema, TIME).left_out == {"state": "text", "number": "text"}

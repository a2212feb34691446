"""Tests of the table of verdicts: as it is written, and as people and spreadsheets change it."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.telemetry.verdicts import Feedback, Verdict, read_feedback, to_csv, write_feedback

HEADERS = "alarm_id,start,end,verdict,at"
ROW = "A-1,2021-01-04T03:15:02+00:00,2021-01-04T03:16:02+00:00,true,2021-01-05T08:00:00+00:00"
times = st.integers(min_value=-(2**62), max_value=2**62)
texts = st.text(max_size=20) | st.sampled_from(
    ["=1+1", "'=x", "''@", '"', "a,b;c\td", "two\nlines", "-", "'", "#", "ä"]
)


@st.composite
def verdicts(draw: st.DrawFn) -> Feedback:
    start, end = sorted(draw(st.tuples(times, times)))
    others = {name: draw(texts) for name in ("comment", "by", "model_version", "subsystem")}
    alarm_id = f"A{draw(st.integers(0, 9))}{draw(texts)}"
    return Feedback(
        alarm_id=alarm_id, start=start, end=end, verdict=draw(st.sampled_from(Verdict)), at=draw(times), **others
    )


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a table as a person saves it, and returns its path."""

    def write(text: str) -> str:
        (tmp_path / "feedback.csv").write_text(text, encoding="utf-8", newline="")
        return str(tmp_path / "feedback.csv")

    return write


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(verdicts(), max_size=5, unique_by=lambda item: item.alarm_id))
def test_what_is_written_is_read_and_a_row_is_a_line(tmp_path: Path, written: list[Feedback]) -> None:
    uri = str(tmp_path / "feedback.csv")
    write_feedback(uri, written)
    assert read_feedback(uri) == written
    assert Path(uri).read_bytes().count(b"\n") == len(written) + 1


def test_columns_and_times_are_those_of_the_contract(tmp_path: Path) -> None:
    item = Feedback(
        alarm_id="A-1", start=1_609_730_102_500_000_000, end=1_609_730_162_000_000_000, verdict=Verdict.RARE_NOMINAL,
        comment="docking", by="mk", at=1_609_833_600_000_000_000, model_version="1a2b", subsystem="air",
    )  # fmt: skip
    write_feedback(str(tmp_path / "feedback.csv"), [item])
    header, row = (tmp_path / "feedback.csv").read_text().splitlines()
    assert header == "alarm_id,start,end,verdict,comment,by,at,model_version,subsystem"
    assert row == (
        "A-1,2021-01-04T03:15:02.500000+00:00,2021-01-04T03:16:02+00:00,rare_nominal,docking,mk,"
        "2021-01-05T08:00:00+00:00,1a2b,air"
    )


def test_the_last_row_of_an_alarm_counts(table: Callable[[str], str]) -> None:
    other = ROW.replace("A-1", "A-2")
    path = table("\n".join([HEADERS, ROW, other, ROW.replace("true", "false")]))
    assert [(item.alarm_id, item.verdict) for item in read_feedback(path)] == [("A-1", "false"), ("A-2", "true")]


def test_a_table_with_headers_alone_has_no_verdict(tmp_path: Path) -> None:
    write_feedback(str(tmp_path / "feedback.csv"), [])
    assert read_feedback(str(tmp_path / "feedback.csv")) == []


@pytest.mark.parametrize(
    ("spelling", "verdict"),
    [("TRUE", "true"), ("False", "false"), ("Rare nominal", "rare_nominal"), ("rare-nominal", "rare_nominal")],
)
def test_verdicts_may_be_spelled_as_people_and_spreadsheets_do(
    table: Callable[[str], str], spelling: str, verdict: str
) -> None:
    (item,) = read_feedback(table(f"{HEADERS}\n{ROW.replace('true', spelling)}"))
    assert item.verdict == verdict


@pytest.mark.parametrize(
    "time",
    ["2021-01-04T03:15:02Z", "2021-01-04 03:15:02", "2021-01-04 03:15:02 +00:00", "2021-01-04T03:15:02.000+0000"],
)
def test_times_may_have_the_usual_forms_of_utc(table: Callable[[str], str], time: str) -> None:
    (item,) = read_feedback(table(f"{HEADERS}\n{ROW.replace('2021-01-04T03:15:02+00:00', time)}"))
    assert item.start == 1_609_730_102_000_000_000


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_that_a_spreadsheet_has_saved_is_read(
    tmp_path: Path, table: Callable[[str], str], delimiter: str
) -> None:
    written = [
        Feedback(alarm_id=f"A-{number}", start=0, end=1, verdict=Verdict.TRUE, comment=comment, at=2)
        for number, comment in enumerate(['said "no, wait"', "a; b", "=SUM(A1)", ""])
    ]
    write_feedback(str(tmp_path / "feedback.csv"), written)
    rows = list(csv.reader((tmp_path / "feedback.csv").open(newline="", encoding="utf-8")))
    quoted = "\r\n".join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    assert read_feedback(table(f"\ufeff{quoted}\r\n\r\n")) == written


def test_a_workbook_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["notes"])
    sheet = book.create_sheet("verdicts")
    sheet.append(["Verdict", "Alarm_ID", "at", "start", "end"])
    sheet.append([False, "A-1", pd.Timestamp("2021-01-05"), pd.Timestamp("2021-01-04 03:15:02"), "2021-01-05T00:00Z"])
    book.save(tmp_path / "feedback.xlsx")
    (item,) = read_feedback(str(tmp_path / "feedback.xlsx"))
    assert (item.verdict, item.start) == (Verdict.FALSE, 1_609_730_102_000_000_000)


def test_a_formula_is_text_for_a_spreadsheet(tmp_path: Path) -> None:
    item = Feedback(alarm_id="A-1", start=0, end=1, verdict=Verdict.TRUE, comment='=HYPERLINK("x")', at=2)
    write_feedback(str(tmp_path / "feedback.csv"), [item])
    rows = csv.DictReader((tmp_path / "feedback.csv").open(newline=""))
    assert [row["comment"] for row in rows] == ['\'=HYPERLINK("x")']


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (ROW.replace("true", "perhaps"), "row 3: key 'verdict' is wrong: Input should be 'true', 'false'"),
        (ROW.replace("true", ""), "row 3: key 'verdict'"),
        (ROW.replace("A-1", " "), "row 3: key 'alarm_id' is wrong"),
        (ROW.replace("2021-01-05T08:00:00+00:00", ""), "row 3: key 'at' is wrong: '' is not a time in UTC"),
        (ROW.replace("03:15:02+00:00", "03:15:02+01:00"), "row 3: key 'start' is wrong"),
        (ROW.replace("2021-01-04T03:15", "04/01/2021 03:15"), "row 3: key 'start' is wrong"),
        (ROW.replace("2021-01-04T03:15", "2021-02-30T03:15"), "row 3: key 'start' is wrong"),
        (ROW.replace("2021-01-04T03:15", "1500-02-03T03:15"), "row 3: key 'start' is wrong"),
        (ROW.replace("03:15", "03:17"), "row 3: the end is before the start"),
        (f"{ROW},too,many", "row 3 has more cells than there are headers"),
        ("A-1", "row 3: key 'start'"),
        (ROW.replace("A-1", "x" * 2001), "row 3: key 'alarm_id' is wrong"),
    ],
)
def test_an_invalid_row_is_refused_by_its_number(table: Callable[[str], str], row: str, problem: str) -> None:
    path = table(f"{HEADERS}\n\n{row}\n")
    with pytest.raises(InputError) as raised:
        read_feedback(path)
    assert f"{path}: {problem}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alarm_id,start,end,verdict\n", "no row with the headers alarm_id, start, end, verdict, at"),
        (f"{HEADERS},AT\n{ROW},", "two columns are named 'at'"),
        ("", "the file is empty"),
        (f'{HEADERS}\n"A-1', "not readable as .csv"),
    ],
)
def test_an_invalid_table_is_refused(table: Callable[[str], str], text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_feedback(table(text))


def test_other_columns_are_kept_and_named(table: Callable[[str], str], caplog: pytest.LogCaptureFixture) -> None:
    found = read_feedback(table(f'Ticket,{HEADERS},others,\n"=T\n9",{ROW},O,no name'))
    assert "other columns are kept, but not used: ticket, others" in caplog.text
    assert found[0].others == (("ticket", "=T 9"), ("others", "O"))
    assert "ticket" not in found[0].model_dump(mode="json")
    uri = table(to_csv([*found, found[0].model_copy(update={"alarm_id": "A-2", "others": ()})]))
    assert [item.others for item in read_feedback(uri)] == [found[0].others, (("ticket", ""), ("others", ""))]


def test_a_missing_table_and_another_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_feedback(str(tmp_path / "feedback.csv"))
    with pytest.raises(InputError, match=r"does not end in \.csv"):
        write_feedback(str(tmp_path / "feedback.json"), [])


def test_a_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    uri = str(tmp_path / "feedback.csv")
    write_feedback(uri, [])

    def interrupted() -> Iterator[Feedback]:
        yield Feedback(alarm_id="A-1", start=0, end=1, verdict=Verdict.TRUE, at=2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_feedback(uri, interrupted())
    assert read_feedback(uri) == []
    assert [path.name for path in tmp_path.iterdir()] == ["feedback.csv"]


def test_a_table_in_a_store_is_written_and_read(bucket: str) -> None:
    item = Feedback(alarm_id="A-1", start=0, end=1, verdict=Verdict.TRUE, at=2)
    write_feedback(f"{bucket}/feedback.csv", [item])
    assert read_feedback(f"{bucket}/feedback.csv") == [item]

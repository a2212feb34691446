from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from container_component_src.console.verdict_table import VerdictTable
from container_component_src.errors import InputError, StepError
from container_component_src.storage import resolve
from container_component_src.telemetry.verdicts import Feedback, Verdict, read_feedback
from tests.console.consoles import START


def verdict(number: int, **fields: object) -> Feedback:
    given = {"start": START, "end": START, "at": START, "verdict": Verdict.TRUE, "by": "Ana"}
    return Feedback.model_validate({"alarm_id": f"{number:04d}", **given, **fields})


def test_a_verdict_replaces_that_on_the_same_alarm_and_keeps_the_others(tmp_path: Path) -> None:
    table = VerdictTable(resolve(str(tmp_path / "new" / "feedback.csv")))
    assert table.poll() is None
    for item in (verdict(1), verdict(2), verdict(1, verdict=Verdict.FALSE)):
        table.add(item)
    assert table.poll() == {"0001": verdict(1, verdict=Verdict.FALSE), "0002": verdict(2)}
    assert table.poll() is None


def test_what_others_write_is_seen(tmp_path: Path) -> None:
    one, other = (VerdictTable(resolve(str(tmp_path / "feedback.csv"))) for _ in range(2))
    one.add(verdict(1))
    one.poll()
    other.add(verdict(2))
    assert one.poll() == {"0001": verdict(1), "0002": verdict(2)}


def test_columns_that_people_add_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "feedback.csv"
    table = VerdictTable(resolve(str(path)))
    table.add(verdict(1))
    header, row = path.read_text().splitlines()
    path.write_text(f"{header},ticket\n{row},T-9\n")
    table.add(verdict(2))
    table.add(verdict(1, verdict=Verdict.FALSE))
    assert [line.rpartition(",")[2] for line in path.read_text().splitlines()] == ["ticket", "T-9", ""]
    assert table.poll() == {"0001": verdict(1, verdict=Verdict.FALSE, others=(("ticket", "T-9"),)),
                            "0002": verdict(2, others=(("ticket", ""),))}  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "'=1", '=HYPERLINK("http://evil.test")', '"', "a,b"])
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str, tmp_path: Path) -> None:
    table = VerdictTable(resolve(str(tmp_path / "feedback.csv")))
    table.add(verdict(1, comment=text, by=text, subsystem=text))
    table.add(verdict(2))
    found = table.poll()
    assert found
    assert [found["0001"].comment, found["0001"].by, found["0001"].subsystem] == [text] * 3
    cells = (tmp_path / "feedback.csv").read_text().splitlines()[1].replace('"', "").split(",")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_a_damaged_table_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "feedback.csv"
    path.write_text("alarm_id,start,end,verdict,at\n1,x,x,true,x\n")
    table = VerdictTable(resolve(str(path)))
    for attempt in (table.poll, table.poll, lambda: table.add(verdict(1))):
        with pytest.raises(InputError, match="row 2"):
            attempt()
    assert path.read_text().startswith("alarm_id,start,end,verdict,at\n1,x,x,true,x\n")


def test_consoles_on_one_file_lose_no_verdict(tmp_path: Path) -> None:
    add_at_once(str(tmp_path / "feedback.csv"), consoles=4, verdicts=10)
    assert len(read_feedback(str(tmp_path / "feedback.csv"))) == 40


def test_consoles_on_one_object_lose_no_verdict(bucket: str) -> None:
    add_at_once(f"{bucket}/feedback.csv", consoles=3, verdicts=4)
    assert len(read_feedback(f"{bucket}/feedback.csv")) == 12


def add_at_once(uri: str, consoles: int, verdicts: int) -> None:
    """Have so many consoles add so many verdicts each."""

    def add(console: int) -> None:
        table = VerdictTable(resolve(uri))
        for number in range(verdicts):
            table.add(verdict(console * verdicts + number))

    with ThreadPoolExecutor(consoles) as pool:
        list(pool.map(add, range(consoles)))


def test_an_object_that_others_replace_meanwhile_is_read_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_component_src.console.verdict_table._PAUSE", 0)
    one, other = (VerdictTable(resolve(f"{bucket}/feedback.csv")) for _ in range(2))
    with_verdict = one._with
    others = iter([verdict(2), verdict(3)])

    def slow(item: Feedback, version: str | None) -> bytes:
        content = with_verdict(item, version)
        if faster := next(others, None):
            other.add(faster)
        return content

    monkeypatch.setattr(one, "_with", slow)
    one.add(verdict(1))
    assert {item.alarm_id for item in read_feedback(f"{bucket}/feedback.csv")} == {"0001", "0002", "0003"}


def test_an_object_that_others_replace_all_the_time_is_a_problem(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_component_src.console.verdict_table._PAUSE", 0)
    location = resolve(f"{bucket}/feedback.csv")
    table = VerdictTable(location)
    monkeypatch.setattr(location.fs, "replace", lambda *_: False)
    with pytest.raises(StepError, match="others write it all the time"):
        table.add(verdict(1))


def test_an_object_is_replaced_only_if_it_is_the_version_that_was_read(bucket: str) -> None:
    location = resolve(f"{bucket}/object")
    assert location.fs.replace(location.path, b"1", None)
    assert not location.fs.replace(location.path, b"2", None)
    version = location.fs.info(location.path)["ETag"]
    assert location.fs.replace(location.path, b"3", version)
    assert not location.fs.replace(location.path, b"4", version)
    location.remove()
    assert not location.fs.replace(location.path, b"5", version)
    location.fs.invalidate_cache()
    assert not location.exists()

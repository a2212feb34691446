"""Operators' verdicts on alarms: a CSV table with one alarm a row, which people also edit in spreadsheets."""

import csv
import io
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.telemetry.spreadsheets import HEADER_SEARCH_ROWS, Row, Sheet, read_sheets
from container_component_src.telemetry.timestamps import from_iso, to_iso
from container_component_src.values import Frozen, describe

logger = logging.getLogger(__name__)

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(?:Z|\+00:?00)?", re.ASCII)
_FORMULA = re.compile(r"'*[=+\-@]")  # a cell that a spreadsheet would compute, and such a cell with a quote before it
_LONGEST = 2000  # characters of a text


class Verdict(StrEnum):
    """What an operator says of an alarm."""

    TRUE = "true"  # an anomaly
    FALSE = "false"  # normal operation
    RARE_NOMINAL = "rare_nominal"  # normal, but too rare to train on, such as a docking


def _parsed_time(value: object) -> object:
    """Return the nanoseconds of a time that a person or a spreadsheet may have written, without a zone in UTC."""
    if not isinstance(value, str):
        return value
    if not (found := _TIME.fullmatch(value.strip())):
        raise ValueError(f"{value[:80]!r} is not a time in UTC such as 2021-01-04T03:15:02Z")
    return from_iso(f"{found[1]}T{found[2]}+00:00")


def _parsed_verdict(value: object) -> object:
    """Return a verdict in the table's spelling; spreadsheets write TRUE, people write `rare nominal`."""
    return re.sub(r"[\s-]+", "_", value.strip()).casefold() if isinstance(value, str) else value


def _one_line(text: str) -> str:
    """Return a text without line breaks, control characters and invisible ones, so that a row is a line."""
    blanks = "".join(" " if sign.isspace() else sign for sign in text)
    return " ".join("".join(filter(str.isprintable, blanks)).split())


# Nanoseconds since 1970-01-01 UTC; ISO 8601 in the table.
Time = Annotated[int, BeforeValidator(_parsed_time), PlainSerializer(to_iso, when_used="json")]
Line = Annotated[str, AfterValidator(_one_line)]
Text = Annotated[Line, StringConstraints(max_length=_LONGEST)]


class Feedback(Frozen):
    """The verdict on one alarm, which is a row of the table; the fields are its columns, apart from `others`."""

    alarm_id: Annotated[Text, StringConstraints(min_length=1)]
    start: Time  # of the alarm: its first row
    end: Time  # of the alarm: its last row
    verdict: Annotated[Verdict, BeforeValidator(_parsed_verdict)]
    comment: Text = ""
    by: Text = ""  # who gave the verdict
    at: Time  # when it was given
    model_version: Text = ""
    subsystem: Text = ""
    others: tuple[tuple[str, Line], ...] = Field((), exclude=True)  # cells of columns that are only kept, with names

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end < self.start:
            raise ValueError("the end is before the start")
        return self


COLUMNS = tuple(name for name, field in Feedback.model_fields.items() if not field.exclude)
REQUIRED = tuple(name for name, field in Feedback.model_fields.items() if field.is_required())


def write_feedback(uri: str, feedback: Iterable[Feedback]) -> None:
    """Write a table as CSV, see `to_csv`; an existing one is replaced in one step.

    Raises:
        InputError: The name does not end in `.csv`.
    """
    if not uri.lower().endswith(".csv"):
        raise InputError(f"{uri}: the name of a table of verdicts does not end in .csv", fix="rename it")
    storage.resolve(uri).write_bytes(to_csv(feedback).encode())


def to_csv(feedback: Iterable[Feedback]) -> str:
    """Return a table as CSV.

    Texts that a spreadsheet would take for a formula get a quote before them, which `read_feedback` removes.
    """
    stream = io.StringIO(newline="")
    items = list(feedback)
    writer = csv.DictWriter(stream, [*COLUMNS, *dict.fromkeys(name for item in items for name, _ in item.others)])
    writer.writeheader()
    for item in items:
        cells: dict[str, str] = item.model_dump(mode="json") | dict(item.others)
        writer.writerow({name: f"'{cell}" if _FORMULA.match(cell) else cell for name, cell in cells.items()})
    return stream.getvalue()


def read_feedback(uri: str) -> list[Feedback]:
    """Read a table: CSV with any of the usual delimiters, or a spreadsheet.

    The columns may be in any order, those with texts may be missing, and others are only kept. Times without a zone
    are in UTC.

    Returns:
        The last verdict on each alarm, in the order in which the alarms first appear; empty if there are only headers.

    Raises:
        InputError: There is no such file, a column is missing, or a cell is invalid. The message names the row, which
            is the line of a file that `write_feedback` wrote.
    """
    tables = [table for sheet in read_sheets(uri, _is_header) if (table := _sheet_feedback(sheet)) is not None]
    if not tables:
        raise InputError(
            f"{uri}: no row with the headers {', '.join(REQUIRED)}", fix=f"let its first row be {','.join(COLUMNS)}"
        )
    return list({item.alarm_id: item for table in tables for item in table}.values())


def _is_header(row: Row) -> bool:
    return set(REQUIRED) <= set(_names(row))


def _names(row: Row) -> list[str]:
    return [_one_line(cell).casefold() for cell in row]


def _sheet_feedback(sheet: Sheet) -> list[Feedback] | None:
    """Return the verdicts of a sheet, or None if it does not have the headers."""
    rows = enumerate(sheet.rows, start=1)  # numbered as in a spreadsheet
    names = next((_names(row) for _, row in islice(rows, HEADER_SEARCH_ROWS) if _is_header(row)), None)
    if names is None:
        return None
    _check_names(sheet.label, names)
    feedback = []
    for number, row in rows:
        if any(row[len(names) :]):
            problem = f"{sheet.label}: row {number} has more cells than there are headers"
            raise InputError(problem, fix="put quotes around texts with a delimiter")
        if any(row):
            feedback.append(_parsed(f"{sheet.label}: row {number}", dict(zip(names, row, strict=False))))
    return feedback


def _check_names(label: str, names: Sequence[str]) -> None:
    if repeated := next((name for name in COLUMNS if names.count(name) > 1), ""):
        raise InputError(f"{label}: two columns are named '{repeated}'", fix="remove or rename one")
    if others := [name for name in names if name and name not in COLUMNS]:
        logger.warning("%s: other columns are kept, but not used: %s", label, ", ".join(others))


def _parsed(place: str, cells: Mapping[str, str]) -> Feedback:
    texts = {name: cell[1:] if _quoted(cell) else cell for name, cell in cells.items() if name}
    given = {name: text for name, text in texts.items() if name in COLUMNS}
    others = tuple((name, text) for name, text in texts.items() if name not in COLUMNS)
    try:
        return Feedback.model_validate({**dict.fromkeys(REQUIRED, ""), **given, "others": others})
    except ValidationError as error:
        known = "verdicts are true, false and rare_nominal, and times are such as 2021-01-04T03:15:02Z"
        raise InputError(f"{place}: {describe(error)}", fix=f"correct the row: {known}") from error


def _quoted(cell: str) -> bool:
    return cell.startswith("'") and _FORMULA.match(cell) is not None

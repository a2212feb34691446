"""Anomaly reports: the events in a CSV or Excel table, one per row."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice, pairwise

from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.spreadsheets import (
    ERRORS,
    HEADER_SEARCH_ROWS,
    MAX_COLUMNS,
    Row,
    Sheet,
    read_sheets,
)
from container_component_src.telemetry.timestamps import to_iso

logger = logging.getLogger(__name__)

_Placed = tuple[Event, str]  # and its sheet and row

REPORT_TIME_FORMAT = "%Y/%j/%H:%M:%S"
FIRST_YEAR, LAST_YEAR = 1678, 2261  # that nanoseconds since 1970 can express as a whole
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")  # such as zero-width blanks of copied text
SHOWN_HEADERS = 12  # most headers of the file that an error lists
SHOWN_TEXT = 80  # most characters of a cell that an error shows
SHOWN_SHEETS = 5  # most sheets without the headers that a message lists


def read_reports(uri: str, columns: ReportColumns, strict: bool = True) -> list[Event]:
    """Read the events of all sheets that have the headers, hidden ones too, and log the names of the other sheets.

    Args:
        uri: A `.csv`, `.xlsx` or `.xls` file.
        columns: Headers of the report table; extra whitespace in them, and their case, are ignored.
        strict: Whether events that overlap, or share an ID, are errors.

    Returns:
        The events, sorted by start.

    Raises:
        InputError: The file is unreadable or too large, has no rows or lacks a column; an event has no ID, an invalid
            or missing time, or an end that is not after its start; or (if strict) events overlap or share an ID. The
            message names file, sheet, row and column.
    """
    events: list[_Placed] = []
    without_headers: list[str] = []  # sheet and what it lacks
    read = 0
    wanted = {_normalised(name) for name in columns.required.values()}

    def is_header(row: Row) -> bool:
        return wanted <= set(map(_normalised, row))

    for sheet in read_sheets(uri, is_header):
        top = list(islice(sheet.rows, HEADER_SEARCH_ROWS))
        header = next((index for index, row in enumerate(top) if is_header(row)), None)
        if header is None:
            without_headers.append(f"{sheet.label}: {_missing_column(top, columns)}")
            continue
        read += 1
        found = _sheet_events(sheet, top, header, columns)
        logger.info("%s: %d events", sheet.label, len(found))
        events += found
    _report_sheets(uri, read, without_headers)
    if not events:
        raise InputError(f"{uri}: no rows", fix="add a report: a test set needs at least one anomaly")
    events.sort(key=lambda placed: (placed[0].start, placed[0].end, placed[0].id))
    if strict:
        _check_ids(uri, events)
        _check_overlaps(uri, events)
    return [event for event, _ in events]


def _report_sheets(uri: str, read: int, without_headers: Sequence[str]) -> None:
    """Log the sheets that were not read, or refuse a file of which none was read."""
    shown = [*without_headers[:SHOWN_SHEETS]]
    if (more := len(without_headers) - SHOWN_SHEETS) > 0:
        shown.append(f"{more} more sheets")
    if not read:
        problem = "; ".join(shown) or f"{uri}: no sheet with cells"
        raise InputError(problem, fix="add it or change [col-names] in config.toml")
    if shown:
        logger.warning("sheets without the headers are ignored: %s", "; ".join(shown))


def _missing_column(rows: Sequence[Row], columns: ReportColumns) -> str:
    """Return the first header that is missing in the row with most of the headers, and what that row has."""
    wanted = {_normalised(name): name for name in columns.required.values()}
    best = max(rows, key=lambda row: len(wanted.keys() & {_normalised(cell) for cell in row}), default=[])
    lacking = next(name for header, name in wanted.items() if header not in {_normalised(cell) for cell in best})
    shown = [cell[:SHOWN_TEXT] for cell in best if cell][:SHOWN_HEADERS]
    found = ", ".join(map(repr, shown)) or f"nothing in the first {HEADER_SEARCH_ROWS} rows"
    beyond = f" in the first {MAX_COLUMNS} columns" if len(best) == MAX_COLUMNS else ""
    return f"no column '{lacking}'{beyond} (found: {found})"


def _sheet_events(sheet: Sheet, top: list[Row], header: int, columns: ReportColumns) -> list[_Placed]:
    """Return the events of one sheet in the order of its rows, each with its sheet and row.

    Args:
        sheet: The sheet; the rows in `top` have been taken from it.
        top: Its first rows.
        header: Index of the header row in `top`.
        columns: Headers of the report table.
    """
    headers = top[header]
    named = _normalised(columns.channels) in map(_normalised, headers)
    present = columns.model_dump() if named else columns.required
    positions = {field: _position(sheet.label, headers, name) for field, name in present.items()}
    rows = enumerate(chain(top[header + 1 :], sheet.rows), start=header + 2)  # numbered as in a spreadsheet
    filled = {number: row for number, row in rows if any(row)}
    if not filled:
        return []
    for number, row in filled.items():
        if any(row[len(headers) :]):
            problem = f"{sheet.label}: row {number} has more cells than there are headers"
            raise InputError(problem, fix="put quotes around texts with a delimiter")
    cells = {field: [row[at] if at < len(row) else "" for row in filled.values()] for field, at in positions.items()}
    starts, ends = (
        _times(sheet.label, name, dict(zip(filled, cells[field], strict=True)))
        for field, name in (("start", columns.start), ("end", columns.end))
    )
    events = []
    texts = zip(cells["id"], cells["symbol"], cells["title"], cells.get("channels", [""] * len(filled)), strict=True)
    for number, (id_, symbol, title, channels), start, end in zip(filled, texts, starts, ends, strict=True):
        if not id_ or id_ in ERRORS:
            problem = f"{sheet.label}: row {number}, column '{columns.id}': no ID" + (f" but {id_}" if id_ else "")
            raise InputError(problem, fix="give the event an ID")
        if end <= start:
            problem = f"{sheet.label}: row {number} (event {id_}): '{columns.end}' is not after '{columns.start}'"
            raise InputError(problem, fix="correct the times")
        place = f"sheet '{sheet.name}', row {number}" if sheet.name else f"row {number}"
        causes = _channel_names(channels)
        events.append((Event(id=id_, symbol=symbol, title=title, start=start, end=end, causes=causes), place))
    return events


def _channel_names(text: str) -> tuple[str, ...]:
    """Return names that semicolons, commas or line breaks separate, each once."""
    names = (name.strip() for name in re.split(r"[;,\n]", text))
    return tuple(dict.fromkeys(filter(None, names)))


def _position(place: str, headers: Sequence[str], name: str) -> int:
    found = [at for at, header in enumerate(headers) if _normalised(header) == _normalised(name)]
    if len(found) > 1:  # do they differ in case?
        found = [at for at in found if headers[at] == name] or found
    if len(found) > 1:
        raise InputError(f"{place}: two columns are named '{name}'", fix="remove or rename one")
    return found[0]


def _times(place: str, name: str, cells: Mapping[int, str]) -> list[int]:
    """Return the times of a column, given by row, in nanoseconds since 1970-01-01 UTC."""
    times = {row: _time(text) for row, text in cells.items()}
    for row, time in times.items():
        if time is None:
            form = f"in the format {REPORT_TIME_FORMAT}, in the years {FIRST_YEAR} to {LAST_YEAR}"
            problem = f"'{cells[row][:SHOWN_TEXT]}' is not a time {form}" if cells[row] else "no time is given"
            fix = "write it as text such as 2023/074/13:05:00, or remove the row"
            raise InputError(f"{place}: row {row}, column '{name}': {problem}", fix=fix)
    return [time for time in times.values() if time is not None]


def _time(text: str) -> int | None:
    """Return a time in nanoseconds since 1970-01-01 UTC, or None if the text is none."""
    try:
        time = datetime.strptime(text, REPORT_TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    # Python reads day 366 of a common year as the next year's first day.
    is_time = f"{time.year}" == text[:4] and FIRST_YEAR <= time.year <= LAST_YEAR
    return int(time.timestamp()) * 10**9 if is_time else None


def _check_overlaps(uri: str, events: Sequence[_Placed]) -> None:
    for (before, place), (after, other) in pairwise(events):
        if after.start < before.end:
            raise InputError(
                f"{uri}: events {before.id} ({place}) and {after.id} ({other}) overlap (from {to_iso(after.start)})",
                fix="join them in the report, or allow it with --strict-reports false",
            )


def _check_ids(uri: str, events: Sequence[_Placed]) -> None:
    name, count = Counter(event.id for event, _ in events).most_common(1)[0]
    if count > 1:
        first, second = islice((place for event, place in events if event.id == name), 2)
        raise InputError(
            f"{uri}: {count} events have the ID '{name}' ({first}; {second}{'; …' if count > 2 else ''})",
            fix="give each event its own, or allow it with --strict-reports false",
        )


def _normalised(text: str) -> str:
    """Return a header in lower case, with single spaces between its words and without invisible characters."""
    return " ".join(_INVISIBLE.sub("", text).split()).casefold()

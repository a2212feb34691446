"""Anomaly reports: the events that a table of CSV or Excel format lists, one a row."""

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import chain, islice, pairwise

import pandas as pd

from container_component_src.errors import InputError
from container_component_src.steps.data import ReportColumns
from container_component_src.telemetry.dataset import to_iso
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.spreadsheets import Row, Sheet, read_sheets

logger = logging.getLogger(__name__)

REPORT_TIME_FORMAT = "%Y/%j/%H:%M:%S"
HEADER_SEARCH_ROWS = 20  # a title, or notes, may stand above the headers
SHOWN_HEADERS = 12  # of what was found, in an error


def read_reports(uri: str, columns: ReportColumns, strict: bool = True) -> list[Event]:
    """Read the events of all sheets that have the headers; sheets that do not are named in the log.

    Args:
        uri: A `.csv`, `.xlsx` or `.xls` file.
        columns: Headers of the report table; blanks and line breaks in them do not count.
        strict: Whether events that overlap, or share an ID, are errors.

    Returns:
        The events, sorted by start.

    Raises:
        InputError: The file is unreadable or too large, lacks a column, has no rows, an event without an ID, a bad or
            missing time, an end that is not after its start, or (if strict) events that overlap or share an ID. The
            message names file, sheet, row and column.
    """
    events: list[Event] = []
    without_headers: dict[str, str] = {}  # name of the sheet: what is missing there
    read = 0
    for sheet in read_sheets(uri):
        top = list(islice(sheet.rows, HEADER_SEARCH_ROWS))
        if (header := _header_row(top, columns)) is None:
            without_headers[sheet.name] = _missing(top, columns)
            continue
        read += 1
        events += _events_of(_place(uri, sheet), sheet, top, header, columns)
    if not read:
        problem = "; ".join(
            f"sheet '{name}': {missing}" if name else missing for name, missing in without_headers.items()
        )
        raise InputError(f"{uri}: {problem}; add it or change [col-names] in config.toml")
    if not events:
        raise InputError(f"{uri}: no rows; a test set needs at least one reported anomaly")
    for name, missing in without_headers.items():
        logger.warning("%s: sheet '%s' is left out: %s", uri, name, missing)
    events.sort(key=lambda event: (event.start, event.end, event.id))
    if strict:
        _check_overlaps(uri, events)
        _check_ids(uri, events)
    return events


def _header_row(rows: Sequence[Row], columns: ReportColumns) -> int | None:
    """Index of the first row that holds all headers."""
    wanted = {_plain(name) for name in columns.model_dump().values()}
    return next((index for index, row in enumerate(rows) if wanted <= {_plain(cell) for cell in row}), None)


def _missing(rows: Sequence[Row], columns: ReportColumns) -> str:
    """Which column is missing, and what the row says that holds most of the headers."""
    wanted = {_plain(name): name for name in columns.model_dump().values()}
    best = max(rows, key=lambda row: len(wanted.keys() & {_plain(cell) for cell in row}), default=[])
    lacking = next(name for plain, name in wanted.items() if plain not in {_plain(cell) for cell in best})
    shown = [cell for cell in best if cell][:SHOWN_HEADERS]
    return f"no column '{lacking}' (found: {', '.join(map(repr, shown)) or 'nothing'})"


def _events_of(place: str, sheet: Sheet, top: list[Row], header: int, columns: ReportColumns) -> list[Event]:
    """The events of one sheet, in the order of its rows."""
    headers = [_plain(cell) for cell in top[header]]
    positions = {field: _position(place, headers, name) for field, name in columns.model_dump().items()}
    rows = enumerate(chain(top[header + 1 :], sheet.rows), start=header + 2)  # numbered as a spreadsheet does
    filled = {number: row for number, row in rows if any(row)}
    if not filled:
        return []
    for number, row in filled.items():
        if any(row[len(headers) :]):
            raise InputError(f"{place}: row {number} has more cells than there are headers; quote its texts")
    cells = {field: [row[at] if at < len(row) else "" for row in filled.values()] for field, at in positions.items()}
    starts, ends = (
        _times(place, name, pd.Series(cells[field], index=list(filled), dtype=object))
        for field, name in (("start", columns.start), ("end", columns.end))
    )
    events = []
    texts = zip(cells["id"], cells["symbol"], cells["title"], strict=True)
    for number, (id_, symbol, title), start, end in zip(filled, texts, starts, ends, strict=True):
        if not id_:
            raise InputError(f"{place}: row {number}, column '{columns.id}': no ID is given; give the event one")
        if end <= start:
            fault = f"'{columns.end}' is not after '{columns.start}'"
            raise InputError(f"{place}: row {number} (event {id_}): {fault}; correct the times")
        events.append(Event(id=id_, symbol=symbol, title=title, start=start, end=end))
    return events


def _position(place: str, headers: Sequence[str], name: str) -> int:
    if headers.count(_plain(name)) > 1:
        raise InputError(f"{place}: column '{name}' is there twice; remove or rename one")
    return headers.index(_plain(name))


def _times(place: str, name: str, column: "pd.Series[str]") -> list[int]:
    """Times in nanoseconds since 1970 UTC."""
    times = pd.to_datetime(column, format=REPORT_TIME_FORMAT, utc=True, errors="coerce")
    # Day 366 of a common year and second 61 would become another day and another minute.
    year, second = (pd.to_numeric(text, errors="coerce") for text in (column.str[:4], column.str.rpartition(":")[2]))
    times = times.where((times.dt.year == year) & (times.dt.second == second))
    if times.isna().any():
        row = times.isna().idxmax()
        text = column.loc[row]
        fault = f"'{text}' is not a time of the form {REPORT_TIME_FORMAT}" if text else "no time is given"
        raise InputError(f"{place}: row {row}, column '{name}': {fault}; correct the report")
    return [int(time) for time in times.astype("datetime64[ns, UTC]").astype("int64")]


def _check_overlaps(uri: str, events: Sequence[Event]) -> None:
    for before, after in pairwise(events):
        if after.start < before.end:
            raise InputError(
                f"{uri}: events {before.id} and {after.id} overlap (from {to_iso(after.start)}); "
                "join them in the report, or allow it with --strict-reports false"
            )


def _check_ids(uri: str, events: Sequence[Event]) -> None:
    name, count = Counter(event.id for event in events).most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{uri}: {count} events have the ID '{name}'; give each its own, or allow it with --strict-reports false"
        )


def _place(uri: str, sheet: Sheet) -> str:
    return f"{uri}: sheet '{sheet.name}'" if sheet.name else uri


def _plain(text: str) -> str:
    """A header without what one does not see: blanks around it, and line breaks."""
    return " ".join(text.split())

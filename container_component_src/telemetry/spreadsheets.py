"""Tables of `.csv`, `.xlsx` and `.xls` files as rows of text, with limits on their size.

A spreadsheet of a few kilobytes can claim a million columns, or unpack to gigabytes of text. Nothing beyond the limits
below is read.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

import xlrd

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.telemetry.csv_table import DELIMITERS

MAX_BYTES = 64 * 2**20  # of a file
MAX_UNPACKED_BYTES = 128 * 2**20  # of an .xlsx file, which is a zip archive
MAX_TAGS = 4_000_000  # XML tags of an .xlsx file: about four for each filled cell
MAX_SHEETS = 256
MAX_ROWS = 250_000  # of all sheets of a file, without blank ones
MAX_BLANK_ROWS = 4_000_000  # a stray cell in the last row of a sheet makes a million
MAX_COLUMNS = 256  # of a sheet; columns further right are not read
HEADER_SEARCH_ROWS = 20  # there may be a title, or notes, above the headers
ERRORS = {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"}  # values of cells in Excel
_LAST_ROW = 2**20  # of a sheet in Excel
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # by byte order mark, as in Excel's "Unicode text"

Row = list[str]
IsHeader = Callable[[Row], bool]


@dataclass(frozen=True)
class Sheet:
    """One table of a file."""

    uri: str
    name: str  # empty for a file without sheets
    rows: Iterator[Row]  # from the first row of the file, with blank rows; cells without whitespace around them
    hidden: bool = False

    @property
    def label(self) -> str:
        """File and sheet, for messages."""
        name = f"sheet '{self.name}'" + (" (hidden)" if self.hidden else "")
        return f"{self.uri}: {name}" if self.name else self.uri


def read_sheets(uri: str, is_header: IsHeader) -> Iterator[Sheet]:
    """Yield the sheets of a workbook, or the one table of a CSV file.

    Read the rows of each sheet before the next one is requested.

    Args:
        uri: The file.
        is_header: Whether a row has the headers of the table, which tells the delimiter of a CSV file.

    Raises:
        InputError: The file is absent, not a regular file, of another format, damaged or too large.
    """
    file = storage.resolve(uri)
    suffix = "." + file.name.rsplit(".", 1)[-1].lower()
    if suffix not in _READERS:
        raise InputError(f"{uri}: the format is not one of {', '.join(_READERS)}", fix="convert the file")
    content = file.read_bytes(MAX_BYTES)
    filled = blank = 0

    def limited(sheet: Sheet) -> Iterator[Row]:
        nonlocal filled, blank
        with _readable(uri, suffix):
            for row in sheet.rows:
                filled, blank = (filled + 1, blank) if any(row) else (filled, blank + 1)
                if filled > MAX_ROWS or blank > MAX_BLANK_ROWS:
                    limit = f"{MAX_ROWS:,}" if filled > MAX_ROWS else f"{MAX_BLANK_ROWS:,} blank"
                    raise InputError(f"{sheet.label}: more than {limit} rows", fix="split the file")
                yield [cell.strip() for cell in row[:MAX_COLUMNS]]

    with _readable(uri, suffix):
        if not content:
            raise ValueError("the file is empty")
        for name, rows, hidden in _READERS[suffix](content, is_header):
            sheet = Sheet(uri, name, rows, hidden)
            yield Sheet(uri, name, limited(sheet), hidden)


@contextmanager
def _readable(uri: str, suffix: str) -> Iterator[None]:
    """Turn the errors of a reader into an InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    # Each reader raises errors of its own for a damaged file; their only common base class is Exception.
    except Exception as error:
        raise InputError(f"{uri}: not readable as {suffix} ({error})", fix="save the table again") from error


_Sheets = Iterator[tuple[str, Iterator[Row], bool]]  # name and rows of each sheet, and whether it is hidden


def _read_csv(content: bytes, is_header: IsHeader) -> _Sheets:
    """Read a CSV file with the delimiter that makes headers of one of the first rows."""
    encoding = _ENCODINGS.get(content[:2], "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"its byte {error.start} is not {encoding.removesuffix('-sig')}: use 'CSV UTF-8'") from error
    if "\0" in text:
        raise ValueError("it has NUL characters: use 'CSV UTF-8'")
    if not text.strip():
        raise ValueError("the file is empty")

    def reader(delimiter: str) -> Iterator[Row]:
        return iter(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))

    def fit(delimiter: str) -> tuple[bool, int]:
        top: list[Row] = []
        with suppress(csv.Error):  # with another delimiter, quotes may be wrong
            top.extend(islice(reader(delimiter), HEADER_SEARCH_ROWS))
        return any(map(is_header, top)), max(map(len, top), default=0)

    yield "", reader(max(DELIMITERS, key=fit)), False


def _read_xlsx(content: bytes, is_header: IsHeader) -> _Sheets:
    import openpyxl  # noqa: PLC0415 - a quarter of the start of a step

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(item.file_size for item in archive.infolist())
        if size > MAX_UNPACKED_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes, more than {MAX_UNPACKED_BYTES:,}")
        tags = sum(archive.read(item).count(b"<") for item in archive.infolist())
        if tags > MAX_TAGS:
            raise ValueError(f"it has {tags:,} XML tags, more than {MAX_TAGS:,}: delete cells that are not needed")
        if "xl/workbook.xml" in archive.namelist():
            _check_sheets(archive.read("xl/workbook.xml").count(b"<sheet "))
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # those in the file may be wrong
        rows = sheet.iter_rows(max_col=MAX_COLUMNS, max_row=_LAST_ROW, values_only=True)
        yield sheet.title, (_texts(row) for row in rows), sheet.sheet_state != "visible"


def _read_xls(content: bytes, is_header: IsHeader) -> _Sheets:
    book = xlrd.open_workbook(file_contents=content, on_demand=True, ragged_rows=True, logfile=io.StringIO())
    _check_sheets(book.nsheets)
    for name in book.sheet_names():
        sheet = book.sheet_by_name(name)
        rows = ([_xls_value(cell, book.datemode) for cell in sheet.row(at)] for at in range(sheet.nrows))
        yield name, map(_texts, rows), sheet.visibility != 0
        book.unload_sheet(name)


def _check_sheets(count: int) -> None:
    if count > MAX_SHEETS:
        raise ValueError(f"it has {count:,} sheets, more than {MAX_SHEETS}")


def _xls_value(cell: xlrd.sheet.Cell, datemode: int) -> object:
    """Return the value of a cell as openpyxl does; `.xls` files store dates, booleans and errors as numbers."""
    if cell.ctype == xlrd.XL_CELL_DATE:
        return xlrd.xldate_as_datetime(cell.value, datemode)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return bool(cell.value)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#N/A")
    return cell.value


def _texts(row: Sequence[object]) -> Row:
    """Return the cells of a row without empty ones at its end; openpyxl fills rows up to the requested width."""
    filled, texts = len(row) - row.count(None), []
    for cell in row:
        if not filled:
            break
        filled -= cell is not None
        texts.append(_text(cell))
    return texts


def _text(cell: object) -> str:
    """Return the text that a spreadsheet shows; `.xls` files store all numbers as floats."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


_READERS: dict[str, Callable[[bytes, IsHeader], _Sheets]] = {".csv": _read_csv, ".xls": _read_xls, ".xlsx": _read_xlsx}

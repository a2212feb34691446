"""Tables of `.csv`, `.xlsx` and `.xls` files as rows of text, with limits on their size.

A spreadsheet of a few kilobytes can claim a million columns, or unpack to gigabytes of text. Nothing beyond the limits
below is read.
"""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import openpyxl
import xlrd

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.storage import Location

MAX_ROWS = 250_000  # of a sheet, without blank ones
MAX_COLUMNS = 256  # of a sheet; columns further right are not read
MAX_BYTES = 256 * 2**20  # of a file, and of an unpacked .xlsx file
DELIMITERS = ",;\t|"
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # by byte order mark, as in Excel's "Unicode text"

Row = list[str]


@dataclass(frozen=True)
class Sheet:
    """One table of a file."""

    uri: str
    name: str  # empty for a file without sheets
    rows: Iterator[Row]  # from the first row of the file, with blank rows; cells without whitespace around them

    @property
    def label(self) -> str:
        """File and sheet, for error messages."""
        return f"{self.uri}: sheet '{self.name}'" if self.name else self.uri


def read_sheets(uri: str) -> Iterator[Sheet]:
    """Yield the sheets of a workbook, or the one table of a CSV file.

    Read the rows of each sheet before the next one is requested.

    Raises:
        InputError: The file is absent, not a regular file, of another format, damaged or too large.
    """
    file = storage.resolve(uri)
    suffix = "." + file.name.rsplit(".", 1)[-1].lower()
    if suffix not in _READERS:
        raise InputError(f"{uri}: the format is not one of {', '.join(_READERS)}", fix="convert the file")
    content = _content(uri, file)
    try:
        for name, rows in _READERS[suffix](content):
            sheet = Sheet(uri, name, rows)
            yield Sheet(uri, name, _within_limits(sheet))
    except InputError:
        raise
    # Each reader raises errors of its own for a damaged file; their only common base class is Exception.
    except Exception as error:
        raise InputError(f"{uri}: not readable as {suffix} ({error})", fix="save the table again") from error


def _content(uri: str, file: Location) -> bytes:
    if not file.is_file():
        if file.exists():
            raise InputError(f"{uri}: not a regular file", fix="name the file that has the report table")
    elif (size := file.fs.size(file.path)) > MAX_BYTES:
        raise InputError(f"{uri}: {size:,} bytes exceed the limit of {MAX_BYTES:,}", fix="split the file")
    return file.read_bytes()


def _within_limits(sheet: Sheet) -> Iterator[Row]:
    filled = 0
    for row in sheet.rows:
        filled += any(row)
        if filled > MAX_ROWS:
            raise InputError(f"{sheet.label}: more than {MAX_ROWS:,} rows", fix="split the file")
        yield [cell.strip() for cell in row[:MAX_COLUMNS]]


_Sheets = Iterator[tuple[str, Iterator[Row]]]  # name and rows of each sheet


def _read_csv(content: bytes) -> _Sheets:
    """Read a CSV file with the delimiter that gives most of the first lines the same number of cells."""
    text = content.decode(_ENCODINGS.get(content[:2], "utf-8-sig"))
    if not text.strip():
        raise ValueError("the file is empty")
    lines = text[:10_000].splitlines()[:20]
    delimiter = max(DELIMITERS, key=lambda mark: _agreement(lines, mark))
    yield "", iter(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def _agreement(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """Return how many lines have the same number of cells, and that number; (0, 0) if no line has two."""
    cells = Counter(len(next(csv.reader([line], delimiter=delimiter), [])) for line in lines)
    return max(((lines, count) for count, lines in cells.items() if count > 1), default=(0, 0))


def _read_xlsx(content: bytes) -> _Sheets:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(item.file_size for item in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {MAX_BYTES:,}")
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # those in the file may be wrong
        rows = sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True)
        yield sheet.title, (_texts(row) for row in rows)


def _read_xls(content: bytes) -> _Sheets:
    book = xlrd.open_workbook(file_contents=content, on_demand=True, logfile=io.StringIO())
    for name in book.sheet_names():
        sheet = book.sheet_by_name(name)
        yield name, (_texts(sheet.row_values(row)) for row in range(sheet.nrows))
        book.unload_sheet(name)


def _texts(row: Sequence[object]) -> Row:
    """Return the cells of a row without empty ones at its end; openpyxl fills rows up to the requested width."""
    filled = next((at for at in range(len(row), 0, -1) if row[at - 1] is not None), 0)
    return [_text(cell) for cell in row[:filled]]


def _text(cell: object) -> str:
    """Return the text that a spreadsheet shows; `.xls` files store all numbers as floats."""
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


_READERS: dict[str, Callable[[bytes], _Sheets]] = {".csv": _read_csv, ".xls": _read_xls, ".xlsx": _read_xlsx}

"""Tables of `.csv`, `.xlsx` and `.xls` files as rows of text, read within bounds.

A spreadsheet of a few kilobytes can claim a million columns, or unpack to gigabytes of text. Nothing beyond the limits
below is read.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import openpyxl
import xlrd

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.storage import Location

MAX_ROWS = 250_000  # of a sheet, blank ones not counted
MAX_COLUMNS = 256  # of a sheet; those further right are not read
MAX_BYTES = 256 * 2**20  # of a file, and of what an .xlsx file unpacks to
DELIMITERS = ",;\t|"
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # by byte order mark, as Excel's "Unicode text" has it

Row = list[str]


@dataclass(frozen=True)
class Sheet:
    """One table of a file."""

    name: str  # empty for a file that has no sheets
    rows: Iterator[Row]  # from the first row of the file on, blank ones included; cells without blanks around them


def read_sheets(uri: str) -> Iterator[Sheet]:
    """The sheets of a workbook, or the one table of a CSV file.

    Each has to be read before the next one is asked for.

    Raises:
        InputError: The file is absent, not a regular file, of another format, damaged or too large.
    """
    file = storage.resolve(uri)
    suffix = "." + file.name.rsplit(".", 1)[-1].lower()
    if suffix not in _READERS:
        raise InputError(f"{uri}: reports must be {', '.join(_READERS)}; convert the file")
    content = _content(uri, file)
    try:
        for sheet in _READERS[suffix](content):
            yield Sheet(sheet.name, _bounded(uri, sheet))
    except InputError:
        raise
    # Every reader has errors of its own for a damaged file, with no common base below Exception.
    except Exception as error:
        raise InputError(f"{uri}: not readable as {suffix} ({error}); save the table again") from error


def _content(uri: str, file: Location) -> bytes:
    if not file.is_file():
        if file.exists():
            raise InputError(f"{uri}: not a regular file; name the file that holds the report table")
    elif (size := file.fs.size(file.path)) > MAX_BYTES:
        raise InputError(f"{uri}: {size:,} bytes are more than a report table may have ({MAX_BYTES:,}); split the file")
    return file.read_bytes()


def _bounded(uri: str, sheet: Sheet) -> Iterator[Row]:
    place = f"{uri}: sheet '{sheet.name}'" if sheet.name else uri
    filled = 0
    for row in sheet.rows:
        filled += any(row)
        if filled > MAX_ROWS:
            raise InputError(f"{place}: more than {MAX_ROWS:,} rows; split the file")
        yield [cell.strip() for cell in row[:MAX_COLUMNS]]


def _read_csv(content: bytes) -> Iterator[Sheet]:
    """A CSV file; its delimiter is the one that divides the first lines into most cells."""
    text = content.decode(_ENCODINGS.get(content[:2], "utf-8-sig"))
    if not text.strip():
        raise ValueError("the file is empty")
    lines = text[:10_000].splitlines()[:20]
    delimiter = max(
        DELIMITERS, key=lambda mark: max(len(next(csv.reader([line], delimiter=mark), [])) for line in lines)
    )
    yield Sheet("", iter(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))


def _read_xlsx(content: bytes) -> Iterator[Sheet]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(item.file_size for item in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {MAX_BYTES:,}")
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what the file says of its size may be wrong
        rows = sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True)
        yield Sheet(sheet.title, (_texts(row) for row in rows))


def _read_xls(content: bytes) -> Iterator[Sheet]:
    book = xlrd.open_workbook(file_contents=content, on_demand=True, logfile=io.StringIO())
    for name in book.sheet_names():
        sheet = book.sheet_by_name(name)
        yield Sheet(name, (_texts(sheet.row_values(row)) for row in range(sheet.nrows)))
        book.unload_sheet(name)


def _texts(row: Sequence[object]) -> Row:
    """The cells of a row without the empty ones at its end, of which openpyxl adds as many as it was asked for."""
    filled = next((at for at in range(len(row), 0, -1) if row[at - 1] is not None), 0)
    return [_text(cell) for cell in row[:filled]]


def _text(cell: object) -> str:
    """A cell as a spreadsheet shows it; `.xls` files hold every number as a float."""
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


_READERS: dict[str, Callable[[bytes], Iterator[Sheet]]] = {".csv": _read_csv, ".xls": _read_xls, ".xlsx": _read_xlsx}

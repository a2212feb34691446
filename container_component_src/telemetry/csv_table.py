"""CSV files of telemetry as tables, read in parts of bounded size.

The first line with text has the names of the columns. Types follow from the first lines with values; a later value of
another type is an error.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import IO

import pyarrow as pa
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from container_component_src.errors import InputError
from container_component_src.telemetry.arrow import TIMESTAMP_TYPE, timestamps_of
from container_component_src.telemetry.columns import OTHER_VALUE, WHOLE

DELIMITERS = ",;\t|"
PART_BYTES = 2**24
_TYPED_BYTES = 2**20  # from which the types of the columns follow
_STEP_BYTES = 2**16  # read at a time in search of the end of a line
_MOST_HEADER_BYTES = 2**20
_MOST_LINE_BYTES = 2**26
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"([\r\n]*)([^\r\n]+)(\r\n|\r|\n|$)")
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_NUMBER_WITH_COMMA = r"^\s*[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?\s*$"
_SHOWN = 40  # characters of a value in an error
_PYARROW = re.compile(r"CSV conversion error to [^:]*(\[[^\]]*\])?: |\. If these timestamps are in local time.*")
_TIME_FIX = "write times with their zone, like 2023-01-31T13:00:00Z"
_VALUE_FIX = "correct the value, or leave the column of an archive out with exclude_channels"
_ENCODING_FIX = "save it as CSV in UTF-8, with the names of the columns in the first line"


@dataclass(frozen=True)
class _Header:
    names: list[str]
    delimiter: str
    line_end: bytes  # the last byte of each line
    lines: int  # up to and with that of the names
    length: int  # bytes of these lines


@dataclass(frozen=True)
class CsvTable:
    """A CSV file, whose parts are whole lines of about 16 MiB.

    Attributes:
        name: Name of the file for error messages.
        file: The open file.
        timestamp_col: Name of the timestamp column. Of the possible delimiters, the one counts with which the first
            line has this name, or that is most frequent there.
        timestamp_type: Type of that column, unless it has numbers or, for times with a zone, times without one.
    """

    name: str
    file: IO[bytes]
    timestamp_col: str
    timestamp_type: pa.DataType = TIMESTAMP_TYPE

    def __enter__(self) -> "CsvTable":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns.

        Numbers are float64, and what is neither a number nor true or false nor the time with a zone is text.

        Raises:
            InputError: The file is not CSV in UTF-8, or has lines of different lengths.
        """
        columns = zip(self._header.names, self._first_rows.columns, strict=True)
        return pa.schema([self._field(name, values) for name, values in columns])

    @property
    def rows(self) -> int | None:
        """Number of rows; None if there are any, because they would have to be read."""
        return None if self._first_rows.num_rows else 0

    @property
    def parts(self) -> int:
        """Number of parts."""
        return max(1, -(-(self._size - self._header.length) // PART_BYTES))

    def read(self, columns: Sequence[str], parts: Sequence[int] | None = None) -> pa.Table:
        """Read columns of some parts, or of all.

        Raises:
            InputError: A line has more or fewer values than the first one, or a value has another type than those
                before.
        """
        return pa.concat_tables([self._read(part, columns) for part in (range(self.parts) if parts is None else parts)])

    def batches(
        self, rows: int, part: int | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield one part, or all, with all columns or those named, at most so many rows at a time.

        Errors are those of `read`.
        """
        for number in range(self.parts) if part is None else [part]:
            table = self._read(number, self.schema.names if columns is None else columns)
            yield from table.combine_chunks().to_batches(max_chunksize=rows)

    def ends(self, column: str, part: int | None = None) -> tuple[int, int] | None:
        """Return the least and the greatest timestamp in the first and the last part of the file.

        Returns:
            Nanoseconds since 1970-01-01 UTC; None for one part or for another column, which would have to be read.
        """
        if column != self.timestamp_col or part is not None:
            return None
        read = (
            timestamps_of(self._read(part, [column]).column(0).drop_null())
            for part in (0, *reversed(range(self.parts)))
        )
        found = list(islice((times for times in read if len(times)), 2))
        return (min(int(times.min()) for times in found), max(int(times.max()) for times in found)) if found else None

    @cached_property
    def _size(self) -> int:
        return self.file.seek(0, io.SEEK_END)

    @cached_property
    def _header(self) -> _Header:
        start = self._bytes(0, _MOST_HEADER_BYTES)
        mark = len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0
        found = _HEADER.match(start, mark)
        if not found:
            raise InputError(f"{self.name}: empty", fix="remove the file")
        try:
            text = found[2].decode()
            used = [delimiter for delimiter in DELIMITERS if delimiter in text] or DELIMITERS[0]
            candidates = [(self._names(text, delimiter), delimiter) for delimiter in used]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.name}: not CSV in UTF-8 ({error})", fix=_ENCODING_FIX) from error
        if found.end() == _MOST_HEADER_BYTES or "\0" in text:
            raise InputError(f"{self.name}: not CSV in UTF-8, or a first line of more than 1 MiB", fix=_ENCODING_FIX)
        names, delimiter = max(candidates, key=lambda each: (self.timestamp_col in each[0], len(each[0])))
        above = len(found[1].replace(b"\r\n", b"\n"))
        return _Header(names, delimiter, found[3][-1:] or b"\n", above + 1, found.end())

    @cached_property
    def _first_rows(self) -> pa.Table:
        """The rows from which the types of the columns follow; the columns have numbers as names."""
        names = [str(position) for position in range(len(self._header.names))]
        content = self._typed_content
        if not content.strip():
            return pa.table([pa.nulls(0)] * len(names), names)
        rows = self._parse(content, 0, names, ConvertOptions())
        if b"0x" in content.lower():  # hexadecimal numbers are found to be whole numbers, but cannot be read as floats
            whole = {field.name: pa.float64() for field in rows.schema if pa.types.is_integer(field.type)}
            self._parse(content, 0, names, ConvertOptions(column_types=whole))
        return rows

    @property
    def _typed_content(self) -> bytes:
        """The lines from which the types of the columns follow."""
        return self._bytes(self._header.length, self._boundary(self._header.length + _TYPED_BYTES))

    def _names(self, text: str, delimiter: str) -> list[str]:
        return [name.strip() for name in next(csv.reader([text], delimiter=delimiter, skipinitialspace=True))]

    def _field(self, name: str, values: pa.ChunkedArray) -> pa.Field:
        kind = values.type
        if name == self.timestamp_col:
            number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            without_zone = getattr(kind, "tz", "") is None and pa.types.is_timestamp(self.timestamp_type)
            return pa.field(name, kind if number or without_zone else self.timestamp_type)
        if pa.types.is_integer(kind):
            return pa.field(name, pa.float64(), metadata=WHOLE)  # later values may have a fraction
        if pa.types.is_null(kind) or pa.types.is_floating(kind):
            return pa.field(name, pa.float64())
        if pa.types.is_boolean(kind):
            return pa.field(name, kind)
        if pa.types.is_binary(kind):
            raise InputError(f"{self.name}: column '{name}' is not in UTF-8", fix=_ENCODING_FIX)
        return pa.field(name, pa.string(), metadata=self._other_value(values) if pa.types.is_string(kind) else None)

    def _other_value(self, values: pa.ChunkedArray) -> dict[bytes, str] | None:
        """Return metadata for a column of numbers with a few other values or decimal commas; None for one of text."""
        import pyarrow.compute as pc  # noqa: PLC0415 - slow, and only for text

        missing = pc.is_in(values, pa.array(ConvertOptions().null_values))
        number = pc.match_substring_regex(values, _NUMBER)
        alike = pc.or_(number, pc.match_substring_regex(values, _NUMBER_WITH_COMMA))
        if 2 * (pc.sum(alike).as_py() or 0) <= pc.sum(pc.invert(missing)).as_py():
            return None
        row = max(0, pc.index(pc.or_(number, missing), False).as_py())
        line = self._header.lines + _line(self._typed_content, self._header.line_end, row + 1)
        return {OTHER_VALUE: f"{values[row].as_py()[:_SHOWN]!r} in line {line}"}

    def _read(self, part: int, columns: Sequence[str]) -> pa.Table:
        first, end = (self._boundary(self._header.length + number * PART_BYTES) for number in (part, part + 1))
        schema = pa.schema([self.schema.field(name) for name in columns])
        content = self._bytes(first, end)
        if not content.strip(b"\r\n"):
            return schema.empty_table()
        types = {field.name: field.type for field in self.schema}
        options = ConvertOptions(column_types=types, include_columns=schema.names)
        return self._parse(content, part, self._header.names, options).cast(schema)

    def _parse(self, content: bytes, part: int, names: list[str], options: ConvertOptions) -> pa.Table:
        reading = ReadOptions(column_names=names, use_threads=False)  # with threads, errors have no line
        try:
            return read_csv(io.BytesIO(content), reading, ParseOptions(delimiter=self._header.delimiter), options)
        except pa.ArrowInvalid as error:
            raise self._explain(str(error), content, part) from error

    def _explain(self, message: str, content: bytes, part: int) -> InputError:
        """Return the error for one of pyarrow, with the line in the file and the name of the column."""
        column, row = (re.search(rf"{kind} #(\d+): ", message) for kind in ("column", "Row"))
        line = _line(content, self._header.line_end, int(row[1])) + self._lines_before(part) if row else 0
        where = f"line {line}" if row else f"part {part}"
        name = self._header.names[int(column[1])] if column else ""
        text = _PYARROW.sub("", message[max([found.end() for found in (column, row) if found], default=0) :])
        fix = (
            f"write the names of the columns into line {self._header.lines}, and a value for each into the other lines"
        )
        if name:
            where += f", column '{name}'"
            fix = _TIME_FIX if name == self.timestamp_col else _VALUE_FIX
        return InputError(f"{self.name}: {where}: {text}", fix=_ENCODING_FIX if "UTF8" in text else fix)

    def _lines_before(self, part: int) -> int:
        """Return the number of lines before a part; this reads all of them."""
        bounds = [self._boundary(self._header.length + number * PART_BYTES) for number in range(part + 1)]
        pieces = (self._bytes(first, end) for first, end in pairwise(bounds))
        return self._header.lines + sum(piece.count(self._header.line_end) for piece in pieces)

    def _boundary(self, position: int) -> int:
        """Return where the first line begins that does not begin before a position."""
        if position <= self._header.length:
            return self._header.length
        for start in range(position - 1, min(position + _MOST_LINE_BYTES, self._size), _STEP_BYTES):
            found = self._bytes(start, start + _STEP_BYTES).find(self._header.line_end)
            if found >= 0:
                return start + found + 1
        if position + _MOST_LINE_BYTES < self._size:
            raise InputError(f"{self.name}: a line has more than 64 MiB", fix="check that it is a CSV file")
        return self._size

    def _bytes(self, first: int, end: int) -> bytes:
        length = max(0, min(end, self._size) - first)
        self.file.seek(first)
        return self.file.read(length)


def _line(content: bytes, line_end: bytes, row: int) -> int:
    """Return the line of a row, both counted from 1; lines without text are no rows."""
    lines = (number for number, line in enumerate(content.split(line_end), start=1) if line.strip(b"\r\n"))
    return next(islice(lines, row - 1, None), row)

"""Files of alarms: one JSON object a line (NDJSON), or CSV, by the suffix of the name."""

import csv
import io
import json
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from container_component_src import storage
from container_component_src.alarms.alarm import Alarm
from container_component_src.errors import InputError
from container_component_src.values import describe

_LISTS = ("channels", "events")  # JSON in the cells of a CSV file


def write_alarms(uri: str, alarms: Iterable[Alarm]) -> None:
    """Write alarms in order; the columns are the fields of `Alarm`, and times are ISO 8601 in UTC."""
    storage.resolve(uri).write_bytes((to_csv(alarms) if _is_csv(uri) else to_ndjson(alarms)).encode())


def to_ndjson(alarms: Iterable[Alarm]) -> str:
    """Return one JSON object a line."""
    return "".join(f"{alarm.model_dump_json()}\n" for alarm in alarms)


def to_csv(alarms: Iterable[Alarm]) -> str:
    """Return CSV with a header; the lists of channels and events are JSON."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(Alarm.model_fields))  # line ends as in RFC 4180
    writer.writeheader()
    for alarm in alarms:
        values = alarm.model_dump(mode="json")
        writer.writerow(values | {name: json.dumps(values[name]) for name in _LISTS})
    return stream.getvalue()


def read_alarms(uri: str) -> list[Alarm]:
    """Read a file of alarms.

    Raises:
        InputError: The file is missing, or a line is no alarm.
    """
    content = storage.resolve(uri).read_bytes(limit=None)
    alarms: list[Alarm] = []
    try:
        text = content.decode("utf-8-sig")  # spreadsheets write a byte order mark
        for row in _csv_rows(text) if _is_csv(uri) else _ndjson_rows(text):
            alarms.append(Alarm.model_validate(row))
    except (ValueError, RecursionError, csv.Error) as error:
        reason = describe(error) if isinstance(error, ValidationError) else str(error)
        raise InputError(f"{uri}: alarm {len(alarms) + 1} cannot be read ({reason})", fix="write it again") from error
    return alarms


def _ndjson_rows(text: str) -> Iterator[object]:
    """Yield what the lines hold; other characters that end lines, such as U+2028, are part of a text."""
    return (json.loads(line) for line in text.split("\n") if line.strip())


def _csv_rows(text: str) -> Iterator[dict[str, object]]:
    """Yield the values of each row by column; a missing cell is left out."""
    for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
        if None in row:
            raise ValueError("there are more cells than columns")
        given = {name: cell for name, cell in row.items() if cell is not None}
        yield given | {name: json.loads(given[name]) for name in _LISTS if name in given}


def _is_csv(uri: str) -> bool:
    return uri.lower().endswith(".csv")

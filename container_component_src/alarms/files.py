"""Files of alarms: one JSON object a line (NDJSON), or CSV, by the suffix of the name."""

import csv
import io
import json
from collections.abc import Iterable

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
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(Alarm.model_fields), lineterminator="\n")
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
    text = storage.resolve(uri).read_bytes(limit=None).decode()
    alarms = []
    rows = csv.DictReader(io.StringIO(text)) if _is_csv(uri) else map(json.loads, text.splitlines())
    try:
        for row in rows:
            if _is_csv(uri):
                row |= {name: json.loads(row[name]) for name in _LISTS}
            alarms.append(Alarm.model_validate(row))
    except (ValueError, KeyError, TypeError) as error:
        reason = describe(error) if isinstance(error, ValidationError) else str(error)
        raise InputError(f"{uri}: alarm {len(alarms) + 1} cannot be read ({reason})", fix="write it again") from error
    return alarms


def _is_csv(uri: str) -> bool:
    return uri.lower().endswith(".csv")

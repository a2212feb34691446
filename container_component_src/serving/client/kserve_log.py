"""The log of KServe's own logger as rows of the payload log.

The logger writes parquet files with the bodies of requests and answers, one a row, which have an id in common. It does
not write when they came: that is the time at which their file was written.
"""

import base64
import json
import logging
import math
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from container_component_src import storage
from container_component_src.arrays import Float64Array
from container_component_src.errors import InputError
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import Rows, json_of
from container_component_src.serving.protocol.v1 import rows_of_json
from container_component_src.serving.protocol.v2 import decode_request, decode_response
from container_component_src.storage import Location
from container_component_src.telemetry.parquet import ParquetTable, open_parquet
from container_component_src.telemetry.payload_log import Payload, Period, payload_table

_COLUMNS = {"bytes": "bytes", "id": "id", "component": "component", "reqtype": "kind"}  # without case and underscores
_REQUEST, _RESPONSE = "request", "response"  # last part of the type of the event
_MOST_INPUTS = 10**6  # the server has answered the request
_FIX = "name the folder to which the logger of KServe writes"

logger = logging.getLogger(__name__)


class _Event(NamedTuple):
    """A body that the logger has written."""

    id: str
    kind: str
    body: bytes
    written: int  # nanoseconds since 1970-01-01 UTC


@dataclass(frozen=True)
class _Answer:
    """What was answered to the rows of a request."""

    model_version: str
    scores: Float64Array  # shape [rows]
    alarms: npt.NDArray[np.bool_] | None  # shape [rows]
    smoothed: Float64Array | None  # shape [rows]
    expected: list[dict[str, float]]  # engineering units by channel, for each row


def read_kserve_log(
    uri: str,
    channels: Sequence[str],
    absent: AbstractSet[str] = frozenset(),
    period: Period | None = None,
    component: str = "predictor",
) -> pa.Table:
    """Return the rows of requests that KServe has logged, as those of a payload log.

    The expected values of a channel are known only in rows whose answer names it among its top channels.

    Args:
        uri: Folder to which the logger writes.
        channels: Channels of the model that answered, in its order.
        absent: Further channels that requests may have.
        period: Period of the requests; None for all.
        component: Part of the service whose events count: the one that gets telemetry in engineering units.
    """
    table = payload_table(list(kserve_payloads(uri, channels, absent, period, component)), channels)
    return table.sort_by([(name, "ascending") for name in ("received", "request_id", "row")])


def kserve_payloads(
    uri: str,
    channels: Sequence[str],
    absent: AbstractSet[str] = frozenset(),
    period: Period | None = None,
    component: str = "predictor",
) -> Iterator[Payload]:
    """Yield the requests that KServe has logged with their answers; see `read_kserve_log`.

    Those that cannot be read, such as requests for explanations or of another model, are left out with a warning.
    """
    requests: dict[str, _Event] = {}
    answers: dict[str, _Event] = {}
    for event in _events(storage.resolve(uri), component, 0 if period is None else period.start):
        own, others = (requests, answers) if event.kind == _REQUEST else (answers, requests)
        if event.id not in others:
            own[event.id] = event
            continue
        other = others.pop(event.id)
        request, answer = (event, other) if event.kind == _REQUEST else (other, event)
        if period is not None and not period.start <= request.written < period.end:
            continue
        try:
            yield _payload(request, answer.body, channels, absent)
        except (RequestError, ValueError, LookupError, TypeError) as error:
            logger.warning("KServe's log: request %s is left out: %s", request.id, error)


def _events(root: Location, component: str, since: int) -> Iterator[_Event]:
    """Yield the events of a part of the service in files that were written since a time."""
    for path, details in sorted(root.fs.find(root.path, detail=True).items()):
        file, written = Location(root.store, path), _written(details)
        if not file.name.endswith(".parquet") or written < since:
            continue
        try:
            with ParquetTable(file, open_parquet(file, _FIX), _FIX) as parquet:
                names = {_COLUMNS.get(name.replace("_", "").lower(), ""): name for name in parquet.schema.names}
                if not {*_COLUMNS.values()} <= names.keys():
                    raise InputError(f"{file.uri}: not written by the logger of KServe", fix=_FIX)
                table = parquet.read([names[column] for column in _COLUMNS.values()])
        except (InputError, FileNotFoundError) as error:
            logger.warning("KServe's log: a file is left out: %s", error)
            continue
        columns = (table.column(names[column]).to_pylist() for column in _COLUMNS.values())
        for body, event_id, part, kind in zip(*columns, strict=True):
            last = str(kind).rpartition(".")[2]
            if part == component and last in (_REQUEST, _RESPONSE) and body:
                # Text is base64; which of both it is depends on the version of KServe.
                yield _Event(event_id, last, base64.b64decode(body) if isinstance(body, str) else body, written)


def _written(details: dict[str, Any]) -> int:
    """Return when a file was written, in nanoseconds, from what a file system says of it."""
    seconds: float = details["mtime"] if "mtime" in details else details["LastModified"].timestamp()
    return round(seconds * 1e9)


def _payload(request: _Event, answer_body: bytes, channels: Sequence[str], absent: AbstractSet[str]) -> Payload:
    """Return a request with its answer.

    Raises:
        RequestError: One of them cannot be read.
        ValueError: The answer has another number of rows.
    """
    rows, answer = _rows(request.body, channels, absent), _answer(answer_body)
    if len(answer.scores) != len(rows.values):
        raise ValueError(f"{len(answer.scores)} answers to {len(rows.values)} rows")
    expected = [[row.get(name, math.nan) for name in channels] for row in answer.expected]
    return Payload(
        received=request.written,
        request_id=request.id,
        model_version=answer.model_version,
        rows=np.arange(len(rows.values)),
        values=rows.values,
        expected=np.array(expected, dtype=np.float64).reshape(rows.values.shape),
        scores=answer.scores,
        alarms=answer.alarms,
        smoothed_scores=answer.smoothed,
        timestamps=rows.timestamps,
    )


def _rows(body: bytes, channels: Sequence[str], absent: AbstractSet[str]) -> Rows:
    """Return the rows of a request; it was answered, so what is missing was imputed."""
    length = _json_length(body)
    if length is None and "instances" in json_of(body):
        return rows_of_json(body, channels, absent, impute=True)
    return decode_request(body, length, _MOST_INPUTS).rows(channels, absent, impute=True)


def _answer(body: bytes) -> _Answer:
    length = _json_length(body)
    content = json_of(body[: None if length is None else int(length)])
    if "predictions" in content:
        return _answer_v1(content)
    outputs = decode_response(body, length)[1]
    smoothed, alarms = outputs.get("smoothed_score"), outputs.get("alarm")
    names, values = outputs.get("top_channel"), outputs.get("top_expected")
    rows = len(outputs["score"])
    expected: list[dict[str, float]] = [{}] * rows
    if names is not None and values is not None:
        expected = [dict(zip(*row, strict=True)) for row in zip(names.tolist(), values.tolist(), strict=True)]
    return _Answer(
        str(content.get("model_version", "")),
        outputs["score"].astype(np.float64),
        None if alarms is None else alarms.astype(np.bool_),
        None if smoothed is None else smoothed.astype(np.float64),
        expected,
    )


def _answer_v1(content: dict[str, Any]) -> _Answer:
    rows = content["predictions"]
    smoothed = [row["smoothed_score"] for row in rows if "smoothed_score" in row]
    return _Answer(
        str(content.get("model_version", "")),
        np.array([row["score"] for row in rows], dtype=np.float64),
        np.array([row["alarm"] for row in rows], dtype=np.bool_),
        np.array(smoothed, dtype=np.float64) if smoothed else None,
        [{top["channel"]: top["expected"] for top in row["top_channels"]} for row in rows],
    )


def _json_length(body: bytes) -> str | None:
    """Return the bytes of JSON before binary data, as the header of a request says, which is not logged; or None."""
    text = body.decode("latin-1")  # a character for each byte
    end = json.JSONDecoder().raw_decode(text)[1]
    return str(end) if text[end:].strip() else None

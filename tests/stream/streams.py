"""Streams of telemetry for the tests of several modules, and what a batch finds in the same rows."""

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from container_component_src import storage
from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import read_alarms
from container_component_src.alarms.tracker import AlarmState
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.serving.client import query
from container_component_src.serving.client.model_client import ModelClient
from container_component_src.steps.serving import QueryModel
from container_component_src.steps.streaming import ScoreStream
from container_component_src.stream.scoring import StreamScorer
from container_component_src.stream.sinks import FileSink
from container_component_src.stream.source import Message, Source
from container_component_src.stream.stream import Stream
from container_component_src.telemetry.timestamps import to_iso
from tests.helpers import TIME
from tests.serving.bundles import CHANNELS


class CrashError(Exception):
    """The process is gone."""


def kill_after(messages: int, source: Source) -> None:
    """Let the process of a source be gone after some messages; a negative number: never."""
    process, left = source.processed, itertools.count(messages, -1)

    def processed(message: Message) -> None:
        if not next(left):
            raise CrashError
        process(message)

    source.processed = processed  # type: ignore[method-assign] # of a source of any kind


def line(timestamp: int, values: Sequence[float], **more: object) -> bytes:
    """A row as JSON; missing values are left out or null."""
    row: dict[str, Any] = {TIME: to_iso(timestamp)}
    for index, (name, value) in enumerate(zip(CHANNELS, values, strict=True)):
        if np.isfinite(value):
            row[name] = value
        elif index % 2:
            row[name] = None
    return json.dumps(row | more).encode() + b"\n"


def lines(timestamps: Timestamps, values: Float64Array) -> list[bytes]:
    return [line(*row) for row in zip(timestamps.tolist(), values.tolist(), strict=True)]


def last_events(path: Path) -> list[Alarm]:
    """The last event of each alarm, in order of their first."""
    return list({alarm.id: alarm for alarm in read_alarms(str(path))}.values())


def batch_alarms(client: ModelClient, file: Path, **options: Any) -> list[Alarm]:
    """The alarms that `query_model` finds in a file."""
    arguments = QueryModel(url="http://host", input=str(file), **options)
    return [alarm for batch in query.ask(client, arguments) for alarm in batch.alarms or ()]


def stream_of(arguments: ScoreStream, source: Source, client: Any) -> Stream:
    """A stream that writes its events to a file."""
    update_ns = round(arguments.update_seconds * 1e9)
    scorer = StreamScorer(client, arguments, update_ns)
    state = storage.resolve(arguments.state_file) if arguments.state_file else None
    return Stream(arguments, source, scorer, [FileSink(arguments.alarms)], state)


def run(arguments: ScoreStream, source: Source, client: Any) -> Stream:
    """Run a stream to its end."""

    async def to_the_end() -> Stream:
        stream = stream_of(arguments, source, client)
        await stream.run()
        return stream

    return asyncio.run(to_the_end())


def assert_events_in_order(path: Path) -> None:
    """Each alarm is opened once, then updated, and closed at most once, with nothing after."""
    of_alarm: dict[str, list[AlarmState]] = {}
    for alarm in read_alarms(str(path)):
        of_alarm.setdefault(alarm.id, []).append(alarm.state)
    for states in of_alarm.values():
        assert states[0] is AlarmState.OPENED
        assert all(state is AlarmState.UPDATED for state in states[1:-1])
        assert AlarmState.OPENED not in states[1:]


def pieces(rows: Sequence[bytes], cuts: Sequence[int]) -> Iterator[list[bytes]]:
    """The rows between cuts."""
    bounds = [0, *sorted(cuts), len(rows)]
    for first, stop in itertools.pairwise(bounds):
        yield list(rows[first:stop])


Totals = Mapping[str, int]

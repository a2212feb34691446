"""The loop of a stream: reads messages, scores their rows, writes events, and then the state."""

import asyncio
import logging
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from functools import partial
from typing import Any

import numpy as np

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import AlarmState
from container_component_src.serving.client.model_client import RefusedRowsError
from container_component_src.steps.streaming import ScoreStream
from container_component_src.storage import Location
from container_component_src.stream.counts import Counts
from container_component_src.stream.ordering import ReorderBuffer
from container_component_src.stream.payloads import StreamPayloads
from container_component_src.stream.persistence import persist
from container_component_src.stream.rows import MalformedRowError, Row, RowReader
from container_component_src.stream.scoring import ScoredRows, StreamScorer
from container_component_src.stream.sinks import FileSink, Sink
from container_component_src.stream.source import Message, Source
from container_component_src.stream.state import StoredRows, StreamState, read_state, write_state
from container_component_src.telemetry.timestamps import to_iso

_NANOSECONDS = 1e9
_STATE_OPTIONS = ("input", "timestamp_col", "skip_missing", "impute_missing", "alarms")  # that the state depends on
_LOGGED = 10  # malformed messages that are logged one by one; then every thousandth
_END = None  # in the queue, after the last message

logger = logging.getLogger(__name__)


class Stream:
    """Scores a source until it ends, or the process is told to stop.

    Events are written first, then the state, then the source learns what is processed. So after a crash no event is
    lost; those that were written after the last state are written again, except in a file, which is cut to its length
    in the state.

    Args:
        arguments: Options of the command.
        source: Where the rows come from.
        scorer: Scores them.
        sinks: Where the events go.
        state_file: Where the state is kept; None: nowhere.
        payloads: Log of the rows and their answers; None: they are not logged.
    """

    def __init__(
        self,
        arguments: ScoreStream,
        source: Source,
        scorer: StreamScorer,
        sinks: Sequence[Sink],
        state_file: Location | None,
        payloads: StreamPayloads | None = None,
    ) -> None:
        self._arguments = arguments
        self._source = source
        self._scorer = scorer
        self._sinks = sinks
        self._file_sink = next((sink for sink in sinks if isinstance(sink, FileSink)), None)
        self._state_file = state_file
        self._payloads = payloads
        self._options: Mapping[str, Any] = {name: getattr(arguments, name) for name in _STATE_OPTIONS}
        wait_ns = round(arguments.reorder_seconds * _NANOSECONDS)
        self._order = ReorderBuffer(wait_ns, arguments.reorder_rows)
        self._reader = RowReader(
            scorer.model.channels, arguments.timestamp_col, arguments.max_message_bytes, arguments.max_ahead
        )
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(arguments.buffer_rows)
        self._stopped = asyncio.Event()
        self._committed = time.monotonic()
        self.counts = Counts(lambda: self._queue.qsize() + len(self._order.held))

    async def run(self) -> None:
        """Score the source.

        Raises:
            InputError: The state is that of another stream, or a sink or the service refuses something.
            StepError: The service, a broker or the webhook is away for too long.
        """
        events = self._resume()
        async with AsyncExitStack() as stack:
            if self._payloads:
                stack.callback(self._payloads.close)
            stack.enter_context(self.counts.served(self._arguments.metrics_host, self._arguments.metrics_port))
            parts: list[Sink | Source] = [*self._sinks, self._source]
            for part in parts:
                await persist(partial(stack.enter_async_context, part), self._arguments.retry_seconds)
            await self._write(events)
            await self._commit()  # from now on, it is known what was in the file of events before
            stack.enter_context(self._signals())
            reading = asyncio.create_task(self._read())
            try:
                await self._score_all()
            finally:
                reading.cancel()
                await asyncio.wait([reading])
            if not reading.cancelled() and (error := reading.exception()):
                raise error
        logger.info("%s: %s", "stopped" if self._stopped.is_set() else "the input has ended", self.counts)

    def _resume(self) -> Sequence[Alarm]:
        """Go on from the state; return the event that closes the alarm of a model that has been replaced."""
        state = read_state(self._state_file, dict(self._options)) if self._state_file else None
        if state is None:
            return []
        timestamps, values = state.held.arrays(len(state.channels))
        now = time.monotonic()
        self._order.held = [Row(*row, now) for row in zip(timestamps.tolist(), values, strict=True)]
        self._order.recent.extend(state.recent)
        self._source.resume(state.offsets)
        self.counts.resume(state.counts)
        if self._file_sink:
            self._file_sink.resume(state.events_end)
        events = self._scorer.resume(state)
        logger.info("going on after %s", self.counts)
        return events

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT stop the stream after what has been read."""
        loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            loop.add_signal_handler(number, self._stopped.set)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, before[number])

    async def _read(self) -> None:
        """Put all messages into the queue, and then its end."""
        try:
            await self._fill()
        except Exception:
            await self._queue.put(_END)  # what has been read is scored before the error is reported
            raise
        await self._queue.put(_END)

    async def _fill(self) -> None:
        """Put messages into the queue, which is full if they come faster than they are scored, until a signal."""
        stop = asyncio.create_task(self._stopped.wait())
        async with aclosing(self._source.messages()) as messages:
            while not self._stopped.is_set():
                following = asyncio.ensure_future(anext(messages, None))
                try:
                    await asyncio.wait({following, stop}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.wait([following])
                if following.cancelled() or (found := following.result()) is None:
                    break
                for message in found:
                    await self._queue.put(message)
        stop.cancel()

    async def _score_all(self) -> None:
        """Score the messages in the queue up to its end."""
        ended = False
        while not ended:
            messages, ended = await self._waiting()
            await self._take(messages)
            due = time.monotonic() - self._committed > self._arguments.commit_seconds
            if due or ended or self._source.waits_for_commit:
                await self._commit()
        if not self._stopped.is_set() and self._arguments.at_end == "close":
            await self._score(self._order.flush())
            await self._write(self._scorer.finish())
            await self._commit()

    async def _waiting(self) -> tuple[list[Message], bool]:
        """Return the messages that wait, none if there is none until the next commit, and whether they are the last."""
        messages: list[Message] = []
        until = self._committed + self._arguments.commit_seconds
        while len(messages) < self._arguments.batch_rows:
            try:
                message = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                rest = until - time.monotonic()
                if messages and (not self._arguments.max_delay or rest <= 0):
                    break
                try:
                    message = await asyncio.wait_for(self._queue.get(), max(rest, 0.001))
                except TimeoutError:
                    break
            if message is _END:
                return messages, True
            if not messages:
                until = message.received + self._arguments.max_delay
            messages.append(message)
        return messages, False

    async def _take(self, messages: Sequence[Message]) -> None:
        """Score the rows of messages that need not wait for others."""
        ready: list[Row] = []
        for message in messages:
            try:
                row = self._reader.read(message.text, message.received)
            except MalformedRowError as error:
                self._drop_malformed(message.place, str(error))
                continue
            if dropped := self._order.push(row):
                self.counts.dropped(dropped)
            ready += self._order.ready()  # at once, so that it does not matter which rows come together
        await self._score(ready)
        for message in messages:
            self._source.processed(message)

    def _drop_malformed(self, place: str, reason: str) -> None:
        self.counts.dropped("malformed")
        number = self.counts.totals["malformed"]
        if number <= _LOGGED or not number % 1000:
            logger.warning("%s: %s; dropped (%d malformed so far)", place, reason, number)

    async def _score(self, rows: Sequence[Row]) -> None:
        """Score rows in order and write their events."""
        if not self._scorer.imputes:
            whole = [row for row in rows if np.isfinite(row.values).all()]
            for _ in range(len(rows) - len(whole)):
                self.counts.dropped("missing")
            rows = whole
        most = self._scorer.batch_rows(self._arguments.batch_rows)
        for first in range(0, len(rows), most):
            await self._score_batch(rows[first : first + most])

    async def _score_batch(self, rows: Sequence[Row]) -> None:
        """Score rows; if the model refuses them, find out which by halves, and drop these."""

        async def attempt() -> ScoredRows:
            return await asyncio.to_thread(self._scorer.push, rows)

        try:
            scored = await persist(attempt, self._arguments.retry_seconds)
        except RefusedRowsError as error:
            if len(rows) == 1:
                self._drop_malformed(f"the row of {to_iso(rows[0].timestamp)}", str(error))
                return
            half = len(rows) // 2
            await self._score_batch(rows[:half])
            await self._score_batch(rows[half:])
            return
        await self._write(scored.events)
        if self._payloads:
            self._payloads.log(self._scorer.model.version, scored.timestamps, scored.values, scored.outputs)
        dead = int(scored.outputs["dead"][-1].sum()) if "dead" in scored.outputs else 0
        self.counts.scored(len(rows), rows[-1].timestamp, dead)
        now = time.monotonic()
        for row in rows:
            self.counts.latency(now - row.received)

    async def _write(self, events: Sequence[Alarm]) -> None:
        if events:
            for sink in self._sinks:
                await persist(partial(sink.write, events), self._arguments.retry_seconds)
            opened = sum(event.state is AlarmState.OPENED for event in events)
            self.counts.alarms(opened, self._scorer.open_alarm is not None)

    async def _commit(self) -> None:
        """Write the state of what is processed, and tell the source."""
        if self._state_file:
            held = self._order.held
            values = np.array([row.values for row in held]).reshape(len(held), len(self._scorer.model.channels))
            state = StreamState(
                options=dict(self._options),
                held=StoredRows.of([row.timestamp for row in held], values),
                recent=tuple(self._order.recent),
                offsets=dict(self._source.offsets),
                events_end=self._file_sink.sync() if self._file_sink else None,
                counts=dict(self.counts.totals),
                **self._scorer.state(),
            )
            await asyncio.to_thread(write_state, self._state_file, state)
        await self._source.commit()
        self._committed = time.monotonic()

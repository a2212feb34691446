"""A stream finds what a batch finds in the same rows, whatever happens to it on the way."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.alarms.files import read_alarms
from container_component_src.alarms.tracker import AlarmState
from container_component_src.errors import StepError
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.streaming import ScoreStream
from container_component_src.stream.bundle_service import BundleService
from container_component_src.stream.source import Message, Source
from tests.serving.local_client import LocalClient
from tests.serving.models import DEAD_AFTER, make_model
from tests.serving.protocols import AnomalyModel
from tests.serving.reference_alarms import RULE, SECOND, telemetry
from tests.stream.streams import (
    CrashError,
    assert_events_in_order,
    batch_alarms,
    last_events,
    line,
    lines,
    run,
    stream_of,
)

ROWS = 160


class ListSource(Source):
    """Messages in pieces; the process may crash before one of them, or after it before it is committed.

    It stands for a broker: what is not committed comes again.
    """

    def __init__(self, messages: Sequence[bytes], sizes: Sequence[int] = (), crash_after: int | None = None) -> None:
        self._messages = list(messages)
        self._sizes = list(sizes)
        self._crash_after = crash_after
        self._next = self._processed = 0
        self.committed = 0

    def resume(self, offsets: Mapping[str, int]) -> None:
        self._next = self._processed = offsets["next"]

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        sizes = iter(self._sizes)
        while self._next < len(self._messages):
            piece = range(self._next, min(self._next + next(sizes, 7), len(self._messages)))
            self._next = piece.stop
            yield [Message(self._messages[number], f"message {number}", 0.0, number + 1) for number in piece]

    def processed(self, message: Message) -> None:
        if self._crash_after is not None and message.token > self._crash_after:
            raise CrashError
        self._processed = message.token

    @property
    def offsets(self) -> Mapping[str, int]:
        return {"next": self._processed}

    async def commit(self) -> None:
        self.committed = self._processed


@pytest.fixture(
    scope="module",
    params=[(1, "none", 1), (1, "median", 3), (2, "mean", 4), (3, "exponential", 2)],
    ids=["single", "median", "mean", "exponential"],
)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[AnomalyModel, str]:
    steps, smoothing, window = request.param
    options = {"window_steps": steps, "smoothing": Smoothing(smoothing), "smoothing_window": window}
    folder = tmp_path_factory.mktemp("bundle")
    return make_model(folder, rule=RULE, channel_nats=(0.5, 1.0, 0.25), **options), str(folder)


def arguments(folder: Path, **options: Any) -> ScoreStream:
    places = {"alarms": str(folder / "events.ndjson"), "state_file": str(folder / "state.json")}
    return ScoreStream(**{"url": "http://host", "commit_seconds": 1e-9, **places, **options})


@st.composite
def journeys(draw: st.DrawFn) -> dict[str, Any]:
    """What happens to rows on their way: they come late and twice, in pieces, and the process is killed."""
    return {
        "seed": draw(st.integers(0, 7)),
        "shuffled": draw(st.integers(0, 6)),  # rows by which a row may be late
        "repeated": draw(st.lists(st.integers(0, ROWS - 1), max_size=10)),
        "sizes": draw(st.lists(st.integers(1, 40), max_size=30)),
        "crashes": sorted(draw(st.lists(st.integers(0, ROWS - 1), max_size=4))),
        "commit_seconds": draw(st.sampled_from([1e-9, 1e-3, 1e3])),
        "batch_rows": draw(st.sampled_from([1, 3, 50, 1000])),
        "missing": draw(st.sampled_from([0.0, 0.0, 0.05])),
        "in_process": draw(st.booleans()),
    }


def on_the_way(rows: Sequence[bytes], journey: Mapping[str, Any]) -> list[bytes]:
    """The rows as they arrive."""
    rng = np.random.default_rng(journey["seed"])
    delayed = np.arange(len(rows)) + rng.integers(0, journey["shuffled"] + 1, len(rows))
    order = np.argsort(delayed, kind="stable").tolist()
    for place in journey["repeated"]:
        order.insert(min(place + 3, len(order)), order[place])
    return [rows[number] for number in order]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(journey=journeys())
def test_alarms_equal_those_of_a_batch_to_the_last_digit(
    model: tuple[AnomalyModel, str], journey: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    served, bundle = model
    folder = tmp_path_factory.mktemp("stream")
    timestamps, values = telemetry(journey["seed"], ROWS)
    values[np.random.default_rng(1).random(values.shape) < journey["missing"]] = np.nan
    rows = lines(timestamps, values)
    (folder / "rows.ndjson").write_bytes(b"".join(rows))
    wanted = batch_alarms(LocalClient(served), folder / "rows.ndjson", impute_missing=True)
    client = BundleService(bundle, 5, DEAD_AFTER) if journey["in_process"] else LocalClient(served)
    options = arguments(
        folder,
        impute_missing=True,
        reorder_rows=2 * journey["shuffled"] + 1,
        batch_rows=journey["batch_rows"],
        commit_seconds=journey["commit_seconds"],
    )
    arriving = on_the_way(rows, journey)
    for crash in journey["crashes"]:
        with pytest.raises(CrashError):
            run(options, ListSource(arriving, journey["sizes"], crash), client)
    stream = run(options, ListSource(arriving, journey["sizes"]), client)
    assert last_events(folder / "events.ndjson") == wanted
    assert_events_in_order(folder / "events.ndjson")
    counted = {name: number for name, number in stream.counts.totals.items() if number}
    expected = {"rows": ROWS, "duplicate": len(journey["repeated"]), "alarms": len(wanted)}
    assert counted == {name: number for name, number in expected.items() if number}


@pytest.fixture
def simple(tmp_path: Path) -> AnomalyModel:
    return make_model(tmp_path / "bundle", rule=RULE, smoothing=Smoothing.MEDIAN, smoothing_window=3)


def test_rows_that_are_no_rows_are_counted_and_do_no_harm(simple: AnomalyModel, tmp_path: Path) -> None:
    timestamps, values = telemetry(3)
    rows = lines(timestamps, values)
    (tmp_path / "rows.ndjson").write_bytes(b"".join(rows))
    late, huge, lacking = (line(int(timestamps[0]) + shift, row) for shift, row in
                           [(-SECOND, values[0]), (9, [1e39, 1, 1]), (10, [np.nan, 1, 1])])  # fmt: skip
    arriving = [rows[0], late, huge, rows[0], b"{", lacking, *rows[1:50], huge, *rows[50:]]
    stream = run(arguments(tmp_path), ListSource(arriving), BundleService(str(tmp_path / "bundle"), 5, DEAD_AFTER))
    assert last_events(tmp_path / "events.ndjson") == batch_alarms(LocalClient(simple), tmp_path / "rows.ndjson")
    totals = stream.counts.totals
    assert {reason: totals[reason] for reason in ("late", "duplicate", "malformed", "missing")} == {
        "late": 1, "duplicate": 2, "malformed": 2, "missing": 1,
    }  # fmt: skip
    assert totals["rows"] == len(rows)
    assert str(stream.counts) == (
        f"240 rows (1 late, 2 duplicate, 2 malformed, 1 missing not scored), {totals['alarms']} alarms"
    )


def test_an_alarm_that_goes_on_is_reported_now_and_then(simple: AnomalyModel, tmp_path: Path) -> None:
    timestamps = 1_600_000_000 * SECOND + np.arange(60) * SECOND
    values = np.tile([900.0, 17.5, 3500.0], (60, 1))
    options = arguments(tmp_path, update_seconds=20, batch_rows=1, at_end="keep")
    stream = run(options, ListSource(lines(timestamps, values), [1] * 60), LocalClient(simple))
    events = read_alarms(options.alarms)
    assert [(event.state, (event.end - event.start) // SECOND) for event in events] == [
        ("opened", 2), ("updated", 22), ("updated", 42),
    ]  # fmt: skip
    assert stream.counts.registry.get_sample_value("anomaly_stream_open_alarms") == 1
    run(arguments(tmp_path, update_seconds=20), ListSource(lines(timestamps, values)), LocalClient(simple))
    assert [(event.state, event.rows) for event in read_alarms(options.alarms)[3:]] == [("closed", 60)]


class Replaced(LocalClient):
    """A service in which another model is deployed after some requests."""

    def __init__(self, first: AnomalyModel, second: AnomalyModel, requests: int) -> None:
        super().__init__(first)
        self._second, self._left = second, requests

    def score(self, *rows: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            self._model = self._second
        return super().score(*rows)


@pytest.mark.parametrize("restarted", [False, True])
def test_another_model_closes_the_alarm_of_the_one_before(
    restarted: bool, simple: AnomalyModel, tmp_path: Path
) -> None:
    second = make_model(tmp_path / "second", rule=RULE.at(6.0), seed=1)
    timestamps = 1_600_000_000 * SECOND + np.arange(60) * SECOND
    rows = lines(timestamps, np.tile([900.0, 17.5, 3500.0], (60, 1)))
    options = arguments(tmp_path, at_end="keep", batch_rows=1)
    if restarted:
        run(options, ListSource(rows[:28]), LocalClient(simple))
        run(options, ListSource(rows), LocalClient(second))
    else:
        run(options, ListSource(rows), Replaced(simple, second, 28))
    events = read_alarms(options.alarms)
    of_first = [event for event in events if event.model_version == simple.version]
    of_second = [event for event in events if event.model_version == second.version]
    assert [event.state for event in (*of_first[:1], of_first[-1])] == [AlarmState.OPENED, AlarmState.CLOSED]
    assert of_first[-1].rows == 28
    assert (of_second[0].state, of_second[0].start) == (AlarmState.OPENED, int(timestamps[28]))
    assert events.index(of_first[-1]) < events.index(of_second[0])


class Flaky(LocalClient):
    """A service that is away now and then."""

    def __init__(self, model: AnomalyModel, failures: int) -> None:
        super().__init__(model)
        self.failures = failures

    def score(self, *rows: Any) -> Any:
        self.failures -= 1
        if self.failures >= 0 and self.failures % 2:
            raise StepError("away")
        return super().score(*rows)


def test_a_service_that_is_away_for_a_while_changes_nothing(simple: AnomalyModel, tmp_path: Path) -> None:
    rows = lines(*telemetry(3))
    (tmp_path / "rows.ndjson").write_bytes(b"".join(rows))
    run(arguments(tmp_path, batch_rows=50), ListSource(rows), Flaky(simple, 4))
    assert last_events(tmp_path / "events.ndjson") == batch_alarms(LocalClient(simple), tmp_path / "rows.ndjson")


def test_a_service_that_stays_away_is_an_error_and_loses_nothing(simple: AnomalyModel, tmp_path: Path) -> None:
    rows = lines(*telemetry(3))
    (tmp_path / "rows.ndjson").write_bytes(b"".join(rows))
    with pytest.raises(StepError, match="away"):
        run(arguments(tmp_path, retry_seconds=0), ListSource(rows), Flaky(simple, 10**9 + 1))
    run(arguments(tmp_path), ListSource(rows), LocalClient(simple))
    assert last_events(tmp_path / "events.ndjson") == batch_alarms(LocalClient(simple), tmp_path / "rows.ndjson")


class Broken(ListSource):
    """A source that ends with an error."""

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        async for messages in super().messages():
            yield messages
        raise StepError("the broker is away")


def test_what_was_read_before_an_error_of_the_source_is_scored(simple: AnomalyModel, tmp_path: Path) -> None:
    source = Broken(lines(*telemetry(3)))
    with pytest.raises(StepError, match="the broker is away"):
        run(arguments(tmp_path), source, LocalClient(simple))
    assert source.committed == 240


class Endless(ListSource):
    """A source that counts the rows that it was asked for."""

    read = 0

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        while True:
            self.read += 1
            yield [Message(b"{", f"message {self.read}", 0.0, self.read)]
            await asyncio.sleep(0)


class Slow(LocalClient):
    def score(self, *rows: Any) -> Any:
        raise StepError("busy")


def test_reading_stops_while_rows_cannot_be_scored(simple: AnomalyModel, tmp_path: Path) -> None:
    class Rows(Endless):
        async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
            async for (message,) in super().messages():
                text = line(1_600_000_000 * SECOND + message.token, [1, 1, 1])
                yield [Message(text, message.place, 0.0, message.token)]

    source = Rows([])

    async def read() -> None:
        stream = stream_of(arguments(tmp_path, buffer_rows=50, batch_rows=10), source, Slow(simple))
        running = asyncio.create_task(stream.run())
        before = -1
        while before < source.read or source.read == 0:
            before = source.read
            await asyncio.sleep(0.05)
        assert stream.counts.registry.get_sample_value("anomaly_stream_buffered_rows") == 50
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(read())
    assert 50 < source.read <= 50 + 10 + 2


def test_a_signal_stops_an_endless_source(simple: AnomalyModel, tmp_path: Path) -> None:
    source = Endless([])

    async def stop() -> None:
        running = asyncio.create_task(stream_of(arguments(tmp_path), source, LocalClient(simple)).run())
        while source.read < 30:
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(stop())
    assert source.committed >= 30
    assert signal.getsignal(signal.SIGTERM) is before


def test_dead_channels_are_counted(simple: AnomalyModel, tmp_path: Path) -> None:
    timestamps, values = telemetry(3, 40)
    values[5:, 1] = np.nan
    stream = run(arguments(tmp_path, impute_missing=True), ListSource(lines(timestamps, values)), LocalClient(simple))
    assert stream.counts.registry.get_sample_value("anomaly_stream_dead_channels") == 1
    assert last_events(tmp_path / "events.ndjson")[-1].end == int(timestamps[-1])

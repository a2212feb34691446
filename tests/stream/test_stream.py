"""A stream finds what a batch finds in the same rows, whatever happens to it on the way."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.streaming import ScoreStream
from container_component_src.stream.bundle_service import BundleService
from container_component_src.stream.source import Message, Source
from tests.serving.local_client import LocalClient
from tests.serving.models import DEAD_AFTER, make_model
from tests.serving.protocols import AnomalyModel
from tests.serving.reference_alarms import RULE, telemetry
from tests.stream.streams import assert_events_in_order, batch_alarms, last_events, lines, run

ROWS = 160


class CrashError(Exception):
    """The process is gone."""


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
    assert stream.counts.totals["rows"] == ROWS
    assert stream.counts.totals["duplicate"] == len(journey["repeated"])
    assert stream.counts.totals["alarms"] == len(wanted)

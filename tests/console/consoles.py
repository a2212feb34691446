"""Alarms, payload logs and a running console for the tests of this folder."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import to_ndjson
from container_component_src.alarms.tracker import AlarmState, ChannelShare
from container_component_src.console.access import Access
from container_component_src.console.app import Live, create_app
from container_component_src.console.sources import Sources
from container_component_src.drift.result import DriftReason, DriftReport, ValueDrift
from container_component_src.steps.console import Console
from container_component_src.steps.drift import DriftLimits
from container_component_src.storage import resolve
from container_component_src.telemetry.payload_log import Payload, write_payloads
from container_component_src.telemetry.timestamps import from_iso, to_iso

SECOND = 10**9
START = from_iso("2023-11-15T12:00:00+00:00")
MODEL = "9e2c067b" * 8
TOKEN = "correct-horse-battery"
CHANNELS = ("FAN_SPEED", "FAN_CURRENT")


def alarm(
    number: int = 0,
    state: AlarmState = AlarmState.CLOSED,
    seconds: int = 600,
    subsystem: str = "ventilation",
    channels: Sequence[str] = CHANNELS,
) -> Alarm:
    """The alarm of an hour, which lasts so long."""
    start = START + number * 3600 * SECOND
    return Alarm(
        id=f"{number:04d}-9e2c067b",
        state=state,
        start=start,
        raised=start,
        end=start + seconds * SECOND,
        peak=start + SECOND,
        peak_score=40.0 + number,
        threshold=10.0,
        rows=seconds,
        channels=tuple(ChannelShare(name, 0.6 / (place + 1)) for place, name in enumerate(channels)),
        subsystem=subsystem,
        model_version=MODEL,
    )


def append(path: Path, *alarms: Alarm) -> None:
    """Append events."""
    with path.open("a", encoding="utf-8") as file:
        file.write(to_ndjson(alarms))


def payload(first: int, rows: int = 60, dead: Sequence[str] = (), channels: Sequence[str] = CHANNELS) -> Payload:
    """Rows of the model, one a second, from a time on, in which some channels are missing."""
    values = np.arange(rows * len(channels), dtype=np.float64).reshape(rows, -1)
    values[:, [place for place, name in enumerate(channels) if name in dead]] = np.nan
    return Payload(
        received=first,
        request_id="a",
        model_version=MODEL,
        rows=np.arange(rows),
        values=values,
        expected=values + 0.5,
        scores=np.arange(rows, dtype=np.float64),
        smoothed_scores=np.arange(rows, dtype=np.float64) / 2,
        timestamps=first + SECOND * np.arange(rows),
    )


def write_payload(root: Path, *payloads: Payload, channels: Sequence[str] = CHANNELS) -> None:
    """Write one file for each of these."""
    for item in payloads:
        write_payloads(resolve(str(root)), channels, [item])


def drift(*drifted: str) -> DriftReport:
    """A check of two channels, of which some have drifted."""
    since = {"since": to_iso(START)}
    channels = {
        name: ValueDrift.model_validate(
            {
                **dict.fromkeys(("psi", "ks", "p_value", "adjusted_p_value", "outside_share"), 0.5),
                **dict.fromkeys(("missing_share", "missing_share_before"), 0),
                "effective_rows": 10,
                "drifted": name in drifted,
                "reasons": [DriftReason.DISTRIBUTION] if name in drifted else [],
                "since": since["since"] if name in drifted else None,
            }
        )
        for name in CHANNELS
    }
    return DriftReport.model_validate(
        {
            "start": to_iso(START),
            "end": to_iso(START + 3600 * SECOND),
            "rows": 3600,
            "model_version": MODEL,
            "limits": DriftLimits(),
            "channels": channels,
            "scores": None,
            "exceeded": bool(drifted),
            "reasons": ["too many channels"] if drifted else [],
        }
    )


def arguments(folder: Path, **options: Any) -> Console:
    """Arguments of a console whose files are in a folder."""
    given = {"alarms": str(folder / "alarms.ndjson"), "feedback": str(folder / "feedback.csv"), "poll_seconds": 3600}
    return Console(**{**given, **options})


class Running:
    """A console in this process.

    Attributes:
        live: What its routes work with.
        client: A client of it.
    """

    def __init__(self, live: Live, client: httpx.AsyncClient) -> None:
        self.live = live
        self.client = client

    async def give(self, alarm_id: str, headers: dict[str, str] | None = None, **given: Any) -> httpx.Response:
        """Give a verdict."""
        body = {"verdict": "true", "by": "Ana", **given}
        return await self.client.post(f"/api/alarms/{alarm_id}/verdict", json=body, headers=headers)


@asynccontextmanager
async def console(
    folder: Path, token: str = "", host: str = "localhost:8090", **options: Any
) -> AsyncIterator[Running]:
    """Run a console whose files are in a folder; it looks at them at the start, and in `live.refresh`."""
    settings = arguments(folder, **options)
    ticks = itertools.count(START)
    live = Live(settings, Sources.of(settings), lambda: next(ticks) // SECOND * SECOND)
    app = create_app(live, Access(token))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=f"http://{host}") as client,
    ):
        yield Running(live, client)

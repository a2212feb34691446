import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from container_component_src.alarms.tracker import AlarmState
from container_component_src.console.app import LONGEST_COMMENT, GivenVerdict
from container_component_src.telemetry.timestamps import to_iso
from container_component_src.telemetry.verdicts import Feedback, Verdict, read_feedback
from tests.console.consoles import (
    CHANNELS,
    MODEL,
    SECOND,
    START,
    alarm,
    append,
    console,
    drift,
    payload,
    write_payload,
)

GIVEN = GivenVerdict(verdict=Verdict.TRUE, by="Ana")


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_state_has_all_that_the_page_shows(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm(0), alarm(1, AlarmState.OPENED))
    write_payload(tmp_path / "log", payload(START, 600, dead=CHANNELS[1:]))
    drift(CHANNELS[0]).write(str(tmp_path / "drift.json"))

    async def work() -> None:
        given = {"payload_log": str(tmp_path / "log"), "drift": str(tmp_path / "drift.json")}
        async with console(tmp_path, **given) as running:
            state = (await running.client.get("/api/state")).json()
        assert [item["id"] for item in state["alarms"]] == [alarm(0).id, alarm(1).id]
        assert state["alarms"][1] == json.loads(alarm(1, AlarmState.OPENED).model_dump_json())
        assert (state["verdicts"], state["problems"], state["payload_log"]) == ([], {}, True)
        assert (state["drift"]["total"], list(state["drift"]["drifted"])) == (2, [CHANNELS[0]])
        assert state["dead"] == {"last_row": to_iso(START + 599 * SECOND), "channels": {CHANNELS[1]: None}}

    run(work())


def test_a_console_may_start_before_its_files(tmp_path: Path) -> None:
    async def work() -> None:
        given = {"payload_log": str(tmp_path / "log"), "drift": str(tmp_path / "drift.json")}
        async with console(tmp_path, **given) as running:
            state = (await running.client.get("/api/state")).json()
            assert (state["alarms"], state["drift"], state["dead"], state["problems"]) == ([], None, None, {})
            seen = running.live.hub.last_id
            append(tmp_path / "alarms.ndjson", alarm())
            await running.live.refresh()
            stream = running.live.hub.stream(seen)
            assert b"event: alarms" in [await anext(stream) for _ in range(2)][1]

    run(work())


def test_a_verdict_is_written_and_told_to_all_browsers(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())

    async def work() -> None:
        async with console(tmp_path) as running:
            stream = running.live.hub.stream(running.live.hub.last_id)
            await anext(stream)
            answer = await running.give(
                alarm().id, verdict="rare_nominal", by=" Ana ", comment=" docking\nof a Cygnus "
            )
            assert answer.status_code == 200, answer.text
            told = (await anext(stream)).decode()
            assert "event: verdict\n" in told
            assert json.loads(told.split("data: ")[1]) == answer.json()
            changed = await running.give(alarm().id, verdict="false")
            assert (await running.client.get("/api/state")).json()["verdicts"] == [changed.json()]

    run(work())
    (found,) = read_feedback(str(tmp_path / "feedback.csv"))
    assert (found.alarm_id, found.verdict, found.by, found.comment) == (alarm().id, Verdict.FALSE, "Ana", "")
    assert (found.start, found.end, found.at) == (alarm().start, alarm().end, START)
    assert (found.model_version, found.subsystem) == (MODEL, "ventilation")


def test_a_verdict_survives_a_restart_and_one_by_others_appears(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm(0), alarm(1))

    async def work() -> None:
        async with console(tmp_path) as first:
            await first.give(alarm(0).id)
        async with console(tmp_path) as second, console(tmp_path) as other:
            await other.give(alarm(1).id, verdict="false")
            await second.live.refresh()
            verdicts = (await second.client.get("/api/state")).json()["verdicts"]
            assert {item["alarm_id"]: item["verdict"] for item in verdicts} == {
                alarm(0).id: "true",
                alarm(1).id: "false",
            }

    run(work())


def test_a_verdict_that_is_given_during_a_look_at_the_files_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path / "alarms.ndjson", alarm(0), alarm(1))

    async def work() -> None:
        async with console(tmp_path) as running, console(tmp_path) as other:
            await other.give(alarm(1).id)
            read, loop = running.live.sources.verdicts.poll, asyncio.get_running_loop()

            def slow() -> dict[str, Feedback] | None:
                found = read()
                asyncio.run_coroutine_threadsafe(
                    running.live.give(running.live.alarm(alarm(0).id), GIVEN), loop
                ).result()
                return found

            monkeypatch.setattr(running.live.sources.verdicts, "poll", slow)
            await running.live.refresh()
            assert {*running.live.state.verdicts} == {alarm(0).id, alarm(1).id}

    run(work())


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"verdict": "perhaps"}, 422),
        ({"by": " "}, 422),
        ({"by": "x" * 101}, 422),
        ({"comment": "x" * (LONGEST_COMMENT + 1)}, 422),
        ({"comment": 3}, 422),
        ({"at": "2020-01-01"}, 422),
        ({"comment": "x" * 20_000}, 413),
    ],
)
def test_what_is_no_verdict_is_refused_and_nothing_is_written(
    given: dict[str, Any], status: int, tmp_path: Path
) -> None:
    append(tmp_path / "alarms.ndjson", alarm())

    async def work() -> None:
        async with console(tmp_path) as running:
            answer = await running.give(alarm().id, **given)
            assert answer.status_code == status
            assert answer.json()["problem"]

    run(work())
    assert not (tmp_path / "feedback.csv").exists()


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path) as running:
            assert (await running.give("unknown")).status_code == 404
            for path in (
                "/api/alarms/unknown/series",
                "/static/app.py",
                "/static/..%2fapp.py",
                "/docs",
                "/openapi.json",
            ):
                assert (await running.client.get(path)).status_code == 404, path

    run(work())


def test_a_table_that_cannot_be_written_is_a_problem_that_is_told(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    (tmp_path / "feedback.csv").write_text("no table\n")

    async def work() -> None:
        async with console(tmp_path) as running:
            answer = await running.give(alarm().id)
            assert answer.status_code == 503
            assert "feedback.csv: no row with the headers" in answer.json()["problem"]
            assert "no row with the headers" in (await running.client.get("/api/state")).json()["problems"]["verdicts"]

    run(work())
    assert (tmp_path / "feedback.csv").read_text() == "no table\n"


def test_series_of_an_alarm(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    write_payload(tmp_path / "log", payload(START, 60))

    async def work() -> None:
        async with console(tmp_path, payload_log=str(tmp_path / "log")) as running:
            series = (await running.client.get(f"/api/alarms/{alarm().id}/series")).json()
            assert series["rows"] == len(series["times"]) == 60
            assert [item["channel"] for item in series["channels"]] == [*CHANNELS]
        async with console(tmp_path) as without:
            assert (await without.client.get(f"/api/alarms/{alarm().id}/series")).status_code == 404

    run(work())


def test_the_page_is_served_with_its_files(tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path, title="<script>alert(1)</script>") as running:
            page = await running.client.get("/")
            assert "<script>alert" not in page.text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
            names = [part.split('"')[0] for part in page.text.split('"static/')[1:]]
            assert {"console.js", "console.css", "report.css", "icon.svg"} == set(names)
            for name in names:
                assert (await running.client.get(f"/static/{name}")).status_code == 200

    run(work())


def test_health_tells_whether_the_files_are_read(tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path, poll_seconds=0.01) as running:
            assert (await running.client.get("/healthz")).status_code == 200
            running.live.sources = None  # type: ignore[assignment] # a fault
            assert running.live.watching
            await asyncio.wait([running.live.watching])
            assert (await running.client.get("/healthz")).status_code == 503

    run(work())

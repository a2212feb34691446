import asyncio
import json
import resource
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import to_ndjson
from container_component_src.errors import InputError, StepError
from container_component_src.stream.marks import Mark
from container_component_src.stream.persistence import persist
from container_component_src.stream.sinks import FileSink, StdoutSink, WebhookSink
from tests.alarms.alarms import ALARM


@pytest.fixture
def alarms() -> list[Alarm]:
    return [ALARM, ALARM.model_copy(update={"id": "other"})]


async def write(path: Path, alarms: list[Alarm], mark: Mark | None = None) -> Mark:
    sink = FileSink(str(path))
    sink.resume(mark)
    async with sink:
        await sink.write(alarms)
        return sink.sync()


def test_a_file_is_cut_to_its_length_in_the_state(alarms: list[Alarm], tmp_path: Path) -> None:
    file = tmp_path / "new" / "events.ndjson"
    mark = asyncio.run(write(file, alarms[:1]))
    asyncio.run(write(file, alarms))
    assert asyncio.run(write(file, alarms[1:], mark)).position == file.stat().st_size
    assert file.read_text() == to_ndjson(alarms)


@pytest.mark.parametrize("edited", [lambda text: "", lambda text: f"# mine\n{text}"], ids=["shorter", "longer"])
def test_a_file_that_was_changed_is_not_cut(edited: Callable[[str], str], alarms: list[Alarm], tmp_path: Path) -> None:
    file = tmp_path / "events"
    mark = asyncio.run(write(file, alarms))
    content = edited(file.read_text())
    file.write_text(content)
    with pytest.raises(InputError, match="not the file of events that belongs to the state"):
        asyncio.run(write(file, [], mark))
    assert file.read_text() == content


def test_no_part_of_an_event_stays_if_the_disk_is_full(alarms: list[Alarm], tmp_path: Path) -> None:
    file = tmp_path / "events"
    mark = asyncio.run(write(file, alarms))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (mark.position + 20, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            asyncio.run(write(file, alarms))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_text() == to_ndjson(alarms)


def test_two_streams_do_not_share_a_file(tmp_path: Path) -> None:
    async def both() -> None:
        async with FileSink(str(tmp_path / "events")), FileSink(str(tmp_path / "events")):
            pass

    with pytest.raises(InputError, match="another stream writes it"):
        asyncio.run(both())


def test_stdout(alarms: list[Alarm], capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(StdoutSink().write(alarms))
    assert capsys.readouterr().out == to_ndjson(alarms)


class Receiver:
    """Takes requests of the webhook, and answers some with an error."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self._statuses.pop(0) if self._statuses else HTTPStatus.NO_CONTENT
        if not status:
            raise httpx.ConnectError("refused")
        return httpx.Response(status, text="why")


async def post(receiver: Receiver, alarms: list[Alarm], seconds: float) -> None:
    async with WebhookSink("http://host/alarms", "token", 5) as sink:
        sink._client = httpx.AsyncClient(transport=httpx.MockTransport(receiver), headers=sink._client.headers)
        await persist(lambda: sink.write(alarms), seconds)


def test_events_are_posted_again_until_they_are_taken(alarms: list[Alarm]) -> None:
    receiver = Receiver(503, 0, 200)
    asyncio.run(post(receiver, alarms, 60))
    bodies = [json.loads(request.content)["id"] for request in receiver.requests]
    assert bodies == [alarms[0].id] * 3 + [alarms[1].id]
    assert {request.headers["authorization"] for request in receiver.requests} == {"Bearer token"}


@pytest.mark.parametrize(("statuses", "error", "seconds"), [((503,) * 9, StepError, 0), ((404,), InputError, 60)])
def test_a_receiver_that_does_not_take_events(
    statuses: tuple[int, ...], error: type[Exception], seconds: float, alarms: list[Alarm]
) -> None:
    receiver = Receiver(*statuses)
    with pytest.raises(error, match=f"--webhook: {statuses[0]} why"):
        asyncio.run(post(receiver, alarms, seconds))
    assert len(receiver.requests) == 1

"""Streams by a real MQTT broker."""

import asyncio
import os
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import trustme

from container_component_src.alarms.alarm import Alarm
from container_component_src.backends.local.processes import LOOPBACK
from container_component_src.errors import StepError
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.streaming import ScoreStream
from container_component_src.stream.brokers import Login, Topic
from container_component_src.stream.mqtt import MqttSink, MqttSource
from container_component_src.stream.persistence import persist
from tests.programs import program
from tests.serving.local_client import LocalClient
from tests.serving.models import make_model
from tests.serving.reference_alarms import RULE, telemetry
from tests.stream.mosquitto import broker, client, publish
from tests.stream.streams import CrashError, batch_alarms, kill_after, last_events, lines, stream_of

LOGIN = Login("stream")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with broker(folder) as found:
        yield found


def topic(port: int, name: str = "eclss/rows", scheme: str = "mqtt") -> Topic:
    return Topic(scheme, f"{LOOPBACK}:{port}", name)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not happened():
            await asyncio.sleep(0.01)


async def run_until(options: ScoreStream, source: MqttSource, model: Any, rows: int) -> None:
    """Run a stream until it has scored some rows in all, and then let a signal stop it."""
    stream = stream_of(options, source, LocalClient(model))
    running = asyncio.create_task(stream.run())
    try:
        await until(lambda: running.done() or stream.counts.totals["rows"] >= rows)
    except TimeoutError:
        raise AssertionError(dict(stream.counts.totals)) from None
    if not running.done():
        os.kill(os.getpid(), signal.SIGTERM)
    await running


def subscribe(port: int) -> None:
    """Let the broker keep rows from now on: the stream connects, subscribes and ends."""

    async def connect(subscribed: asyncio.Event) -> None:
        messages = MqttSource(topic(port), LOGIN, 10).messages()
        reading = asyncio.ensure_future(anext(messages))
        await asyncio.wait_for(subscribed.wait(), 60)
        reading.cancel()
        await asyncio.wait([reading])

    async def run() -> None:
        subscribed = asyncio.Event()

        async def note(client: aiomqtt.Client, *arguments: Any, **options: Any) -> object:
            answer = await original(client, *arguments, **options)
            subscribed.set()
            return answer

        original = aiomqtt.Client.subscribe
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aiomqtt.Client, "subscribe", note)
            await connect(subscribed)

    asyncio.run(run())


def test_rows_that_are_not_part_of_the_state_come_again(port: int, tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", rule=RULE, smoothing=Smoothing.EXPONENTIAL, smoothing_window=3)
    timestamps, values = telemetry(3)
    rows = lines(timestamps, values)
    (tmp_path / "rows.ndjson").write_bytes(b"".join(rows))
    events = tmp_path / "events.ndjson"
    options = ScoreStream(
        url="http://host", input=f"mqtt://{LOOPBACK}:{port}/eclss/rows", alarms=str(events),
        state_file=str(tmp_path / "state.json"), commit_seconds=0.05, batch_rows=20, reorder_rows=3,
    )  # fmt: skip
    subscribe(port)
    publish(port, "eclss/rows", rows[:150])
    for left in (40, 70):
        source = MqttSource(topic(port), LOGIN, 10)
        kill_after(left, source)
        with pytest.raises(CrashError):
            asyncio.run(run_until(options, source, model, len(rows)))
    publish(port, "eclss/rows", rows[150:])
    asyncio.run(run_until(options, MqttSource(topic(port), LOGIN, 10), model, len(rows) - 3))
    wanted = batch_alarms(LocalClient(model), tmp_path / "rows.ndjson")
    found = last_events(events)
    assert found[: len(wanted) - 1] == wanted[:-1]
    assert len(wanted) > 3


@pytest.fixture
def alarm(tmp_path: Path) -> Alarm:
    model = make_model(tmp_path / "alarm", rule=RULE)
    timestamps, values = telemetry(3)
    (tmp_path / "rows.ndjson").write_bytes(b"".join(lines(timestamps, values)))
    return batch_alarms(LocalClient(model), tmp_path / "rows.ndjson")[0]


def test_events_are_published_again_after_the_broker_was_away(alarm: Alarm, tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()

    async def write() -> list[bytes]:
        found: list[bytes] = []
        with broker(folder) as port, client(port) as listener:
            listener.on_message = lambda _, __, message: found.append(bytes(message.payload))
            listener.subscribe("eclss/alarms", qos=1)
            async with MqttSink(topic(port, "eclss/alarms"), LOGIN) as sink:
                await sink.write([alarm])
                await until(lambda: len(found) == 1)
        async with MqttSink(topic(port, "eclss/alarms"), LOGIN) as sink:
            writing = asyncio.create_task(persist(lambda: sink.write([alarm, alarm]), 60))
            await asyncio.sleep(0.2)
            assert not writing.done()
            with broker(folder, port), client(port) as listener:
                listener.on_message = lambda _, __, message: found.append(bytes(message.payload))
                listener.subscribe("eclss/alarms", qos=1)
                await writing
                await until(lambda: len(found) == 3)
        return found

    assert asyncio.run(write()) == [alarm.model_dump_json().encode()] * 3


def test_a_broker_that_stays_away_is_an_error() -> None:
    source = MqttSource(topic(1), LOGIN, retry_seconds=0)
    with pytest.raises(StepError, match=r"127\.0\.0\.1:1: .*check the broker"):
        asyncio.run(anext(source.messages()))


def test_the_broker_is_known_by_its_certificate_and_the_stream_by_its_password(alarm: Alarm, tmp_path: Path) -> None:
    folder, authority = tmp_path / "broker", trustme.CA()
    folder.mkdir()
    server = authority.issue_cert(LOOPBACK)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    (folder / "passwords").write_text("eclss:secret\n")
    (folder / "passwords").chmod(0o600)
    subprocess.run([program("mosquitto_passwd"), "-U", folder / "passwords"], check=True)
    settings = (
        f"cafile {folder}/ca.pem\ncertfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n"
        f"allow_anonymous false\npassword_file {folder}/passwords"
    )

    async def write(port: int, login: Login) -> None:
        async with MqttSink(topic(port, "alarms", "mqtts"), login) as sink:
            await sink.write([alarm])

    with broker(folder, settings=settings) as port:
        known = Login("stream", "eclss", "secret", ca_file=str(folder / "ca.pem"))
        asyncio.run(write(port, known))
        with pytest.raises(StepError, match=r"[Nn]ot authori[sz]ed"):
            asyncio.run(write(port, Login("stream", "eclss", "wrong", ca_file=str(folder / "ca.pem"))))
        with pytest.raises((StepError, ssl.SSLError), match="certificate verify failed"):
            asyncio.run(write(port, Login("stream", "eclss", "secret")))

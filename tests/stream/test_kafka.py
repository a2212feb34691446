"""Streams by Kafka. The broker is an object in memory with the methods of aiokafka that are used here."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.structs import TopicPartition

from container_component_src.errors import StepError
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.streaming import ScoreStream
from container_component_src.stream.brokers import Login, Topic
from container_component_src.stream.kafka import KafkaSink, KafkaSource
from tests.serving.local_client import LocalClient
from tests.serving.models import make_model
from tests.serving.reference_alarms import RULE, telemetry
from tests.stream.streams import CrashError, batch_alarms, kill_after, last_events, lines, stream_of

LOGIN = Login("stream", "eclss", "secret", "SCRAM-SHA-512")
TOPIC = Topic("kafka", "a:1,b:2", "rows")


@dataclass
class Record:
    offset: int
    value: bytes | None


@dataclass
class Broker:
    """The partitions of a topic, and the offsets that a group has committed."""

    partitions: list[list[bytes | None]]
    committed: dict[int, int] = field(default_factory=dict)
    sent: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False
    refuses_commits: bool = False


class Consumer:
    """Reads like `AIOKafkaConsumer`; a new one begins at the offsets of the group, or at the beginning."""

    def __init__(self, broker: Broker, **settings: Any) -> None:
        self._broker = broker
        self._positions: dict[int, int] = {}
        broker.settings.append(settings)

    def subscribe(self, topics: Sequence[str], listener: aiokafka.ConsumerRebalanceListener) -> None:
        assert topics == [TOPIC.name]
        self._listener = listener

    async def start(self) -> None:
        if self._broker.away:
            raise KafkaConnectionError("nobody there")
        self._positions = {n: self._broker.committed.get(n, 0) for n in range(len(self._broker.partitions))}
        await self._listener.on_partitions_assigned([TopicPartition(TOPIC.name, n) for n in self._positions])

    async def stop(self) -> None:
        self._positions = {}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition.partition] = offset

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        if self._broker.away:
            raise KafkaConnectionError("gone")
        found = {}
        for number, position in self._positions.items():
            values = self._broker.partitions[number][position : position + min(max_records, 9)]
            if values:
                records = [Record(position + index, value) for index, value in enumerate(values)]
                found[TopicPartition(TOPIC.name, number)] = records
                self._positions[number] += len(values)
        await asyncio.sleep(0 if found else 0.01)
        return found

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self._broker.refuses_commits:
            raise KafkaError("no")
        self._broker.committed |= {partition.partition: offset for partition, offset in offsets.items()}


class Producer:
    """Writes like `AIOKafkaProducer`."""

    def __init__(self, broker: Broker, **settings: Any) -> None:
        self._broker = broker

    async def start(self) -> None:
        if self._broker.away:
            raise KafkaConnectionError("nobody there")

    async def stop(self) -> None:
        pass

    async def send_and_wait(self, topic: str, value: bytes, key: bytes) -> None:
        if self._broker.away:
            raise KafkaConnectionError("gone")
        self._broker.sent.append((topic, value, key))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker([[], []])
    monkeypatch.setattr(aiokafka, "AIOKafkaConsumer", lambda **settings: Consumer(found, **settings))
    monkeypatch.setattr(aiokafka, "AIOKafkaProducer", lambda **settings: Producer(found, **settings))
    return found


def alternating(rows: Iterable[bytes]) -> list[list[bytes | None]]:
    partitions: list[list[bytes | None]] = [[], []]
    for number, row in enumerate(rows):
        partitions[number % 2].append(row)
    return partitions


@pytest.mark.parametrize("refuses_commits", [False, True])
def test_offsets_of_the_state_count(refuses_commits: bool, broker: Broker, tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", rule=RULE, smoothing=Smoothing.MEAN, smoothing_window=3)
    rows = lines(*telemetry(3))
    (tmp_path / "rows.ndjson").write_bytes(b"".join(rows))
    broker.partitions, broker.refuses_commits = alternating(rows), refuses_commits
    broker.partitions[0].insert(7, None)  # a message without a value is malformed
    options = ScoreStream(
        url="http://host", input="kafka://a:1,b:2/rows", alarms=str(tmp_path / "events.ndjson"),
        state_file=str(tmp_path / "state.json"), commit_seconds=0.001, reorder_rows=30,
    )  # fmt: skip

    async def run(left: int) -> dict[str, int]:
        source = KafkaSource(TOPIC, LOGIN, 1000)
        kill_after(left, source)
        stream = stream_of(options, source, LocalClient(model))
        running = asyncio.create_task(stream.run())
        while not running.done() and stream.counts.totals["rows"] < len(rows) - 30:
            await asyncio.sleep(0.005)
        stream._stopped.set()
        await running
        return dict(stream.counts.totals)

    for left in (25, 100):
        with pytest.raises(CrashError):
            asyncio.run(run(left))
    totals = asyncio.run(run(-1))
    assert (totals["rows"], totals["malformed"], totals.get("duplicate", 0)) == (len(rows) - 30, 1, 0)
    wanted = batch_alarms(LocalClient(model), tmp_path / "rows.ndjson")
    found = last_events(tmp_path / "events.ndjson")
    assert len(found) > 3
    assert found[:-1] == wanted[: len(found) - 1]
    assert broker.committed == ({} if refuses_commits else {0: 121, 1: 120})


def test_a_login_reaches_the_broker(broker: Broker) -> None:
    async def make() -> None:
        KafkaSource(TOPIC, LOGIN, 1000)
        KafkaSource(TOPIC, Login("stream"), 1000)

    asyncio.run(make())
    with_login, without = broker.settings
    assert (with_login["security_protocol"], without["security_protocol"]) == ("SASL_PLAINTEXT", "PLAINTEXT")
    assert (with_login["sasl_plain_username"], with_login["sasl_mechanism"]) == ("eclss", "SCRAM-SHA-512")
    assert (with_login["enable_auto_commit"], with_login["bootstrap_servers"]) == (False, "a:1,b:2")


def test_the_settings_are_those_of_the_library() -> None:
    """The stand-in takes any; the library does not."""

    async def make() -> None:
        await KafkaSource(Topic("kafkas", "a:1", "rows"), LOGIN, 1000)._consumer.stop()
        await KafkaSink(TOPIC, LOGIN)._producer.stop()

    asyncio.run(make())


def test_a_broker_that_is_away(broker: Broker, tmp_path: Path) -> None:
    make_model(tmp_path / "bundle", rule=RULE)
    broker.away = True

    async def enter(sink: bool) -> None:
        async with KafkaSink(TOPIC, LOGIN) if sink else KafkaSource(TOPIC, LOGIN, 1000):
            pass

    for sink in (False, True):
        with pytest.raises(StepError, match=r"a:1,b:2: .*nobody there"):
            asyncio.run(enter(sink))


def test_events_have_the_id_as_key(broker: Broker, tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", rule=RULE)
    (tmp_path / "rows.ndjson").write_bytes(b"".join(lines(*telemetry(3))))
    alarms = batch_alarms(LocalClient(model), tmp_path / "rows.ndjson")

    async def write() -> None:
        async with KafkaSink(TOPIC, LOGIN) as sink:
            await sink.write(alarms)
            broker.away = True
            with pytest.raises(StepError, match="gone"):
                await sink.write(alarms[:1])

    asyncio.run(write())
    assert broker.sent == [("rows", alarm.model_dump_json().encode(), alarm.id.encode()) for alarm in alarms]

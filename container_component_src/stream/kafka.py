"""Rows and events by Kafka, at least once each."""

import logging
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, Self

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from container_component_src.alarms.alarm import Alarm
from container_component_src.errors import StepError
from container_component_src.stream.brokers import Login, Topic
from container_component_src.stream.sinks import Sink
from container_component_src.stream.source import Message, Source

_WAIT_MS = 1_000
_RECORDS = 1_000  # most records that are read at once

logger = logging.getLogger(__name__)


class KafkaSource(Source, aiokafka.ConsumerRebalanceListener):
    """Messages of all partitions of a topic.

    The offsets in the state count. They are committed to the consumer group after the state, for tools that show the
    lag, and for a start without a state; without both, the topic is read from its beginning.

    Args:
        topic: The topic.
        login: By what the broker knows this client.
        most_bytes: Length of the longest message.
    """

    def __init__(self, topic: Topic, login: Login, most_bytes: int) -> None:
        self._topic = topic
        self._consumer = aiokafka.AIOKafkaConsumer(
            group_id=login.client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=2 * most_bytes,
            **_connection(topic, login),
        )
        self._read: dict[int, int] = {}  # offset of the next message to read, by partition
        self._processed: dict[int, int] = {}  # of the next to process

    def resume(self, offsets: Mapping[str, int]) -> None:
        """Go on after the processed messages."""
        self._processed = {int(partition): offset for partition, offset in offsets.items()}
        self._read = dict(self._processed)

    @property
    def offsets(self) -> Mapping[str, int]:
        """Where to go on after the processed messages."""
        return {str(partition): offset for partition, offset in self._processed.items()}

    async def __aenter__(self) -> Self:
        self._consumer.subscribe([self._topic.name], listener=self)
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise StepError(f"{self._topic.hosts}: {error}", fix="check the brokers and the login") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Do nothing: what was read is processed."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Go on after the messages that were read."""
        for partition in assigned:
            if partition.partition in self._read:
                self._consumer.seek(partition, self._read[partition.partition])

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        """Iterate over the messages; see `Source`."""
        while True:
            try:
                found = await self._consumer.getmany(timeout_ms=_WAIT_MS, max_records=_RECORDS)
            except KafkaError as error:
                raise StepError(f"{self._topic.hosts}: {error}", fix="check the brokers") from error
            received, messages = time.monotonic(), []
            for partition, records in found.items():
                for record in records:
                    place = f"offset {record.offset} of partition {partition.partition}"
                    token = (partition.partition, record.offset + 1)
                    messages.append(Message(record.value or b"", place, received, token))
                self._read[partition.partition] = records[-1].offset + 1
            if messages:
                yield messages

    def processed(self, message: Message) -> None:
        """Note that a message is part of the state that is written next."""
        partition, offset = message.token
        self._processed[partition] = offset

    async def commit(self) -> None:
        """Commit the offsets; a failure is no loss, since those of the state count."""
        offsets = {TopicPartition(self._topic.name, number): offset for number, offset in self._processed.items()}
        try:
            if offsets:
                await self._consumer.commit(offsets)
        except KafkaError as error:
            logger.warning("%s: offsets not committed: %s", self._topic.hosts, error)


class KafkaSink(Sink):
    """Sends events to a topic, with the ID of the alarm as the key, so that those of an alarm stay in order.

    Args:
        topic: The topic.
        login: By what the broker knows this client.
    """

    def __init__(self, topic: Topic, login: Login) -> None:
        self._topic = topic
        self._producer = aiokafka.AIOKafkaProducer(acks="all", enable_idempotence=True, **_connection(topic, login))

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            raise StepError(f"{self._topic.hosts}: {error}", fix="check the brokers and the login") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def write(self, events: Sequence[Alarm]) -> None:
        """Write events; see `Sink`."""
        try:
            for event in events:
                await self._producer.send_and_wait(
                    self._topic.name, event.model_dump_json().encode(), key=event.id.encode()
                )
        except KafkaError as error:
            raise StepError(f"{self._topic.hosts}: {error}", fix="check the brokers") from error


def _connection(topic: Topic, login: Login) -> dict[str, Any]:
    """Return the settings that consumer and producer have in common."""
    protocol = ("SASL_" if login.user else "") + ("SSL" if topic.encrypted else "PLAINTEXT")
    settings: dict[str, Any] = {
        "bootstrap_servers": topic.hosts,
        "client_id": login.client_id,
        "security_protocol": protocol,
        "ssl_context": login.tls() if topic.encrypted else None,
    }
    if login.user:
        settings |= {
            "sasl_mechanism": login.mechanism,
            "sasl_plain_username": login.user,
            "sasl_plain_password": login.password,
        }
    return settings

"""Rows and events by MQTT 5, at least once each."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from container_component_src.alarms.alarm import Alarm
from container_component_src.errors import StepError
from container_component_src.stream.brokers import Login, Topic
from container_component_src.stream.sinks import Sink
from container_component_src.stream.source import Message, Source

_QOS = 1  # at least once
_SESSION_SECONDS = 7 * 86_400  # for which the broker keeps messages while this stream is stopped
_UNACKNOWLEDGED = 2_000  # most messages that the broker sends before the first of them is acknowledged
_PAUSE = 1.0  # seconds before a new connection

logger = logging.getLogger(__name__)


class MqttSource(Source):
    """Messages of a topic.

    The session is kept by the broker, which sends a message again until it is acknowledged. That happens when its row
    is part of the written state, and limits how many messages are on their way.

    Args:
        topic: The topic; it may have wildcards.
        login: By what the broker knows this client.
        retry_seconds: Time for which the broker may be away.
    """

    def __init__(self, topic: Topic, login: Login, retry_seconds: float) -> None:
        self._topic = topic
        self._login = login
        self._retry_seconds = retry_seconds
        self._processed: list[tuple[Any, int]] = []

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        """Iterate over the messages; see `Source`."""
        connected = time.monotonic()
        while True:
            try:
                client = _client(self._topic, self._login, self._login.client_id)
                paho = client._client  # aiomqtt has no manual acknowledgement of its own
                paho.manual_ack_set(True)  # before the broker sends what it has kept, which is at once
                async with client:
                    await client.subscribe(self._topic.name, _QOS)
                    logger.info("%s: subscribed to %s", self._topic.hosts, self._topic.name)
                    async for message in client.messages:
                        connected = time.monotonic()
                        token = (paho, message.mid) if message.qos else None
                        place = f"message {message.mid} of {message.topic}"
                        yield [Message(bytes(message.payload or b""), place, connected, token)]
            except aiomqtt.MqttError as error:
                if time.monotonic() - connected > self._retry_seconds:
                    raise StepError(f"{self._topic.hosts}: {error}", fix="check the broker and the login") from error
                logger.warning("%s: %s; connecting again", self._topic.hosts, error)
                await asyncio.sleep(_PAUSE)

    def processed(self, message: Message) -> None:
        """Note that a message is part of the state that is written next."""
        if message.token is not None:
            self._processed.append(message.token)

    @property
    def offsets(self) -> Mapping[str, int]:
        """Where to go on after the processed messages."""
        return {}  # the session of the broker knows them

    @property
    def waits_for_commit(self) -> bool:
        """Whether the broker may send no more before some are acknowledged."""
        return len(self._processed) >= _UNACKNOWLEDGED // 2

    async def commit(self) -> None:
        """Acknowledge the processed messages; those of a lost connection are sent again and then known."""
        for paho, number in self._processed:
            paho.ack(number, _QOS)
        self._processed = []


class MqttSink(Sink):
    """Publishes events to a topic.

    Args:
        topic: The topic.
        login: By what the broker knows this client.
    """

    def __init__(self, topic: Topic, login: Login) -> None:
        self._topic = topic
        self._login = login
        self._connection = AsyncExitStack()
        self._client: aiomqtt.Client | None = None

    async def write(self, events: Sequence[Alarm]) -> None:
        """Write events; see `Sink`."""
        try:
            if self._client is None:
                self._client = await self._connection.enter_async_context(
                    _client(self._topic, self._login, f"{self._login.client_id}-events")
                )
            for event in events:
                await self._client.publish(self._topic.name, event.model_dump_json(), _QOS)
        except aiomqtt.MqttError as error:
            await self._disconnect()
            raise StepError(f"{self._topic.hosts}: {error}", fix="check the broker and the login") from error

    async def __aexit__(self, *_: object) -> None:
        await self._disconnect()

    async def _disconnect(self) -> None:
        self._client = None
        try:
            await self._connection.aclose()
        except aiomqtt.MqttError as error:  # the connection was lost before
            logger.debug("%s: %s", self._topic.hosts, error)


def _client(topic: Topic, login: Login, identifier: str) -> aiomqtt.Client:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = _SESSION_SECONDS
    properties.ReceiveMaximum = _UNACKNOWLEDGED
    host, port = topic.address
    return aiomqtt.Client(
        host,
        port,
        username=login.user or None,
        password=login.password or None,
        identifier=identifier,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=properties,
        max_queued_incoming_messages=10 * _UNACKNOWLEDGED,  # of QoS 0, for which a broker waits for nobody
        tls_context=login.tls() if topic.encrypted else None,
    )

"""Debian's MQTT broker, for the tests that need a real one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.waiting import NotReadyError, wait_for
from tests.programs import program


@contextmanager
def broker(folder: Path, port: int = 0, settings: str = "allow_anonymous true") -> Iterator[int]:
    """Run a broker on a port of loopback; it keeps its sessions in the folder while it is stopped."""
    port = port or free_ports(1)[0]
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} {LOOPBACK}\n{settings}\nuser root\npersistence true\npersistence_location {folder}/\n"
        "max_queued_messages 0\n"
    )
    with (folder / "mosquitto.log").open("ab") as log:
        process = subprocess.Popen([program("mosquitto"), "-c", config], stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(port, process), 30, 0.02, "the broker")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int, process: "subprocess.Popen[bytes]") -> None:
    import socket

    assert process.poll() is None, "the broker has ended"
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError as error:
        raise NotReadyError(str(error)) from error


@contextmanager
def client(port: int) -> Iterator[mqtt.Client]:
    """A client that is connected."""
    found = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    found.connect(LOOPBACK, port)
    found.loop_start()
    try:
        yield found
    finally:
        found.disconnect()
        found.loop_stop()


def publish(port: int, topic: str, messages: list[bytes]) -> None:
    """Publish messages, each at least once."""
    with client(port) as publisher:
        for message in messages:
            sent = publisher.publish(topic, message, qos=1)
        sent.wait_for_publish(30)

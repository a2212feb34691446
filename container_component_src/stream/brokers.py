"""Addresses of topics, and what brokers need to know of this client."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from container_component_src.errors import InputError
from container_component_src.files import read_regular
from container_component_src.steps.streaming import KAFKA, MQTT
from container_component_src.values import in_home

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class Topic:
    """A topic at a broker."""

    scheme: str  # mqtt, mqtts, kafka or kafkas
    hosts: str  # host:port; of Kafka several with commas between them
    name: str

    @property
    def is_mqtt(self) -> bool:
        """Whether it is one of MQTT, not of Kafka."""
        return self.scheme in MQTT

    @property
    def encrypted(self) -> bool:
        """Whether the connection is with TLS."""
        return self.scheme in (MQTT[1], KAFKA[1])

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of an MQTT broker."""
        host, _, port = self.hosts.rpartition(":") if ":" in self.hosts else (self.hosts, "", "")
        return host.strip("[]"), int(port or _PORTS[self.scheme])


def topic_of(address: str, option: str) -> Topic | None:
    """Return the topic that an option names; None if it names a file.

    Raises:
        InputError: The address is incomplete, or has a login.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return None
    hosts, _, name = rest.partition("/")
    if scheme not in (*MQTT, *KAFKA):
        raise InputError(f"{option} {scheme}://: unknown", fix=f"use {', '.join((*MQTT, *KAFKA))} or a file")
    if "@" in hosts:
        raise InputError(f"{option}: the address has a login", fix="put it into the environment, see the help")
    topic = Topic(scheme, hosts, name)
    try:
        complete = bool(hosts and name and (not topic.is_mqtt or topic.address[0]))
    except ValueError:
        complete = False
    if not complete:
        raise InputError(f"{option} {address}: incomplete", fix=f"write it as {scheme}://HOST:PORT/TOPIC")
    return topic


@dataclass(frozen=True)
class Login:
    """By what a broker knows this client."""

    client_id: str
    user: str = ""
    password: str = ""
    mechanism: str = "PLAIN"  # of Kafka
    ca_file: str = ""  # empty: the system's certificates
    client_cert: str = ""
    client_key: str = ""

    def tls(self) -> ssl.SSLContext:
        """Return the settings of TLS.

        Raises:
            InputError: A certificate is missing or invalid.
        """
        try:
            for file in filter(None, (self.ca_file, self.client_cert, self.client_key)):
                read_regular(Path(in_home(file)))
            context = ssl.create_default_context(cafile=in_home(self.ca_file) or None)
            if self.client_cert:
                context.load_cert_chain(in_home(self.client_cert), in_home(self.client_key) or None)
        except OSError as error:  # also an SSLError
            raise InputError(f"{error}", fix="check --ca-file, --client-cert and --client-key") from error
        return context

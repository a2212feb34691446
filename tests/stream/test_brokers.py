import pytest

from container_component_src.errors import InputError
from container_component_src.stream.brokers import Login, Topic, topic_of


@pytest.mark.parametrize(
    ("address", "topic", "host"),
    [
        ("mqtt://host/a/b", Topic("mqtt", "host", "a/b"), ("host", 1883)),
        ("mqtts://host/#", Topic("mqtts", "host", "#"), ("host", 8883)),
        ("mqtt://[::1]:99/a", Topic("mqtt", "[::1]:99", "a"), ("::1", 99)),
        ("kafkas://a:1,b:2/rows", Topic("kafkas", "a:1,b:2", "rows"), None),
    ],
)
def test_topics(address: str, topic: Topic, host: tuple[str, int] | None) -> None:
    assert topic_of(address, "--input") == topic
    assert topic.encrypted == address.partition("://")[0].endswith("s")
    assert host is None or topic.address == host


def test_files_are_no_topics() -> None:
    assert topic_of("-", "--input") is None
    assert topic_of("folder/rows.ndjson", "--input") is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://host/topic", "http://: unknown"),
        ("mqtt://user:secret@host/topic", "the address has a login"),
        ("mqtt://host", "incomplete"),
        ("mqtt://host:port/topic", "incomplete"),
        ("kafka:///topic", "incomplete"),
    ],
)
def test_addresses_that_are_refused(address: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        topic_of(address, "--input")
    assert "secret" not in str(error.value)


def test_a_missing_certificate() -> None:
    with pytest.raises(InputError, match=r"ca\.pem: no such file"):
        Login("me", ca_file="ca.pem").tls()

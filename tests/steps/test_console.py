import pytest
from pydantic import ValidationError

from container_component_src.steps.console import Console, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "localhost.example.org", "evil.test", ""])
def test_what_other_machines_can_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"feedback": "f.xlsx"}, "must end in .csv"),
        ({"alarms": "a.csv"}, "give the events as NDJSON"),
        ({"alarms": "http://x/y"}, "unknown scheme"),
        ({"port": 0}, "port"),
    ],
)
def test_wrong_options(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Console(**{"alarms": "a", **options})

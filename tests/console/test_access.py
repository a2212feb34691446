from pathlib import Path

import pytest

from container_component_src.console.access import (
    ALL_FAILURES,
    FAILURE_SECONDS,
    FAILURES,
    SESSION_SECONDS,
    Access,
    read_token,
)
from container_component_src.errors import InputError
from tests.console.consoles import TOKEN, arguments


class Clock:
    """A clock that a test sets."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_loopback_needs_no_token(tmp_path: Path) -> None:
    assert read_token(arguments(tmp_path), {}) == ""
    assert read_token(arguments(tmp_path, host="::1"), {"CONSOLE_TOKEN": f"{TOKEN}\n"}) == TOKEN


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org"])
def test_other_addresses_need_a_token(host: str, tmp_path: Path) -> None:
    reachable = arguments(tmp_path, host=host)
    with pytest.raises(
        InputError, match="other machines can reach this address, but there is no token; set CONSOLE_TO"
    ):
        read_token(reachable, {"CONSOLE_TOKEN": " "})
    assert read_token(reachable, {"CONSOLE_TOKEN": TOKEN}) == TOKEN


def test_token_comes_from_a_file_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    reachable = arguments(tmp_path, host="0.0.0.0", token_file=str(file))
    assert read_token(reachable, {"CONSOLE_TOKEN": "another-token-than-this"}) == TOKEN


@pytest.mark.parametrize(
    ("content", "problem"), [("", "the file is empty"), ("short", "fewer than 16"), ("two words " * 3, "whitespace")]
)
def test_a_token_that_is_none_is_refused_and_not_repeated(content: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    with pytest.raises(InputError, match=problem) as raised:
        read_token(arguments(tmp_path, token_file=str(file)), {"CONSOLE_TOKEN": TOKEN})
    assert not content or content.strip() not in str(raised.value)


def test_a_session_lasts_for_hours_and_over_a_restart() -> None:
    clock = Clock()
    cookie = Access(TOKEN, clock).new_session()
    restarted = Access(TOKEN, clock)
    assert restarted.is_session(cookie)
    clock.now += SESSION_SECONDS + 1
    assert not restarted.is_session(cookie)


def test_a_session_ends_with_the_token_and_cannot_be_made_up() -> None:
    cookie = Access(TOKEN).new_session()
    assert not Access(f"{TOKEN}!").is_session(cookie)
    later = f"9{cookie}"
    for made_up in ("", ".", "a.b.c", later, cookie[:-1], f"{cookie}0", "ä" * 40):
        assert not Access(TOKEN).is_session(made_up)


def test_wrong_tokens_are_limited_by_address() -> None:
    clock = Clock()
    access = Access(TOKEN, clock)
    for _ in range(FAILURES):
        assert access.must_wait("10.0.0.1") == 0
        assert not access.is_token("wrong", "10.0.0.1")
        clock.now += 1
    assert access.must_wait("10.0.0.1") == FAILURE_SECONDS - FAILURES
    assert access.must_wait("10.0.0.2") == 0
    assert access.is_token(TOKEN, "10.0.0.2")
    clock.now += FAILURE_SECONDS - FAILURES
    assert access.must_wait("10.0.0.1") == 0


def test_wrong_tokens_of_many_addresses_are_limited_together() -> None:
    access = Access(TOKEN, Clock())
    for number in range(ALL_FAILURES):
        assert not access.is_token("wrong", f"10.0.0.{number}")
    assert access.must_wait("10.0.1.1") == FAILURE_SECONDS

import pytest

from container_component_src.credentials import header_value
from container_component_src.errors import InputError


@pytest.mark.parametrize("text", ["abc.DEF-_~+/=", "abc.DEF-_~+/=\n", "\tabc.DEF-_~+/=\r\n", " abc.DEF-_~+/= "])
def test_surrounding_whitespace_is_removed(text: str) -> None:
    assert header_value(text, "TOKEN") == "abc.DEF-_~+/="


@pytest.mark.parametrize("text", ["", " \n"])
def test_whitespace_alone_becomes_empty(text: str) -> None:
    assert header_value(text, "TOKEN") == ""


@pytest.mark.parametrize("inside", ["\n", "\r\n", " ", "\x00", "\u00e9", "\u2028", "\ufeff"])
def test_invalid_character_is_refused_without_showing_the_credential(inside: str) -> None:
    with pytest.raises(InputError, match=r"^TOKEN: contains .*; copy it again$") as caught:
        header_value(f"s3cr3t{inside}token", "TOKEN")
    assert "s3cr3t" not in str(caught.value)

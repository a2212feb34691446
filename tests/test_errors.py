import pytest

from container_component_src.errors import InputError, without_logins


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:80/a failed", "http://***@host:80/a failed"),
        ("s3://me:se@cr:et@bucket/a and http://b:c@d", "s3://***@bucket/a and http://***@d"),
        ("http://host/a?b=c@d:e", "http://host/a?b=c@d:e"),
        ("no address: a@b", "no address: a@b"),
        ("//" + ":" * 1_000_000, "//" + ":" * 1_000_000),  # in one pass
    ],
)
def test_logins_are_hidden(text: str, shown: str) -> None:
    assert without_logins(text) == shown
    assert str(InputError(text, fix="do this")) == f"{shown}; do this"

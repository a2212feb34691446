"""Credentials as HTTP header values; error messages never contain the credential."""

import re

from container_component_src.errors import InputError

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")


def header_value(text: str, name: str) -> str:
    """Return a token or key ID without the surrounding whitespace that files and shells add.

    Args:
        text: Credential.
        name: Variable or option of the credential, for the message.

    Returns:
        The credential; empty if there is only whitespace.

    Raises:
        InputError: A character is not allowed in a header.
    """
    value = text.strip()
    if value and not _VISIBLE_ASCII.fullmatch(value):
        raise InputError(f"{name}: contains whitespace or a character that no token or key has", fix="copy it again")
    return value

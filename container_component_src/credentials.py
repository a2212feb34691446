"""Credentials as HTTP headers take them; what is wrong with one is said without repeating it."""

import re

from container_component_src.errors import InputError

_TAKEN = re.compile(r"[\x21-\x7e]+")  # visible ASCII


def header_value(text: str, name: str) -> str:
    """A token or key ID without the blanks and line breaks around it, which a file or a shell leaves there.

    Args:
        text: The credential.
        name: Variable or option that it comes from, for the message.

    Returns:
        The credential; empty if nothing is left.

    Raises:
        InputError: A character inside fits into no header. The text is not repeated.
    """
    value = text.strip()
    if value and not _TAKEN.fullmatch(value):
        raise InputError(
            f"{name}: holds a blank, a line break or a character outside of ASCII, which no token or key has: "
            "copy it again"
        )
    return value

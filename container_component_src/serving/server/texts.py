"""Texts of limited length."""


def shortened(text: str, length: int) -> str:
    """Return a text of at most `length` characters, without its middle if it is longer."""
    if len(text) <= length:
        return text
    start = length // 2
    end = length - start - 1
    return f"{text[:start]}…{text[len(text) - end :]}"

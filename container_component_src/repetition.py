"""Names that are given twice."""

from collections.abc import Iterable


def first_repeated(names: Iterable[str]) -> str | None:
    """The first name that has been there before, found in one pass; None if all differ."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None

"""Cron expressions of schedules, validated by the rules of Kubeflow Pipelines' API server."""

import re
from dataclasses import dataclass

from container_component_src.errors import InputError

_STANDARD_FIELDS = 5  # Kubeflow Pipelines has a sixth one before them, for seconds


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()  # of the values, from the lowest on

    def number(self, text: str) -> int | None:
        """Return the value of a number or name; None if it is neither or out of range."""
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.lowest
        value = int(text) if re.fullmatch("[0-9]{1,4}", text) else None
        return value if value is not None and self.lowest <= value <= self.highest else None

    def accepts(self, text: str) -> bool:
        """Return whether an item of a list is valid: `*`, a value or a range, with or without a step."""
        values, slash, step = text.partition("/")
        if slash and not (re.fullmatch("[0-9]{1,4}", step) and int(step)):
            return False
        if values in {"*", "?"}:
            return True
        first, dash, last = values.partition("-")
        begin = self.number(first)
        end = self.number(last) if dash else begin
        return begin is not None and end is not None and begin <= end


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


def normalise_cron(text: str) -> str:
    """Return a cron expression with seconds, as Kubeflow Pipelines expects it; five fields run at second 0.

    Raises:
        InputError: The text does not have five or six fields, or a value is out of the range of its field.
    """
    texts = text.split()
    if len(texts) == _STANDARD_FIELDS:
        texts = ["0", *texts]
    if len(texts) != len(_FIELDS):
        raise InputError(
            f"--schedule '{text}' does not have five or six fields",
            fix="give five such as '0 3 * * 1', or six with the seconds first",
        )
    for field, value in zip(_FIELDS, texts, strict=True):
        if not all(field.accepts(item) for item in value.split(",")):
            raise InputError(
                f"--schedule '{text}': '{value}' is not a valid {field.name}",
                fix=f"use numbers from {field.lowest} to {field.highest}, ranges such as 1-5, steps such as */2, or *",
            )
    return " ".join(texts)

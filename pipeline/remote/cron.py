"""Cron expressions of schedules, checked as the API server of Kubeflow Pipelines reads them."""

import re
from dataclasses import dataclass

from container_component_src.errors import InputError

_USUAL_FIELDS = 5  # of the usual notation; Kubeflow Pipelines wants the seconds before them


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()  # that may stand for numbers, from the lowest on

    def number(self, text: str) -> int | None:
        """What a number or name stands for; None if it is neither, or outside of the limits."""
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.lowest
        value = int(text) if re.fullmatch("[0-9]{1,4}", text) else None
        return value if value is not None and self.lowest <= value <= self.highest else None

    def takes(self, text: str) -> bool:
        """Whether a part of a list fits: `*`, a value or a range, with a step or without."""
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
    """A cron expression with seconds, as Kubeflow Pipelines takes it; five fields run at second 0.

    Raises:
        InputError: It has not five or six fields, or a value is outside of the limits of its field.
    """
    texts = text.split()
    if len(texts) == _USUAL_FIELDS:
        texts = ["0", *texts]
    if len(texts) != len(_FIELDS):
        raise InputError(f"--schedule '{text}': give five fields like '0 3 * * 1', or six with the seconds first")
    for field, value in zip(_FIELDS, texts, strict=True):
        if not all(field.takes(part) for part in value.split(",")):
            raise InputError(
                f"--schedule '{text}': '{value}' is no {field.name}: give numbers from {field.lowest} to "
                f"{field.highest}, ranges like 1-5, steps like */2, or *"
            )
    return " ".join(texts)

"""The rule by which scores raise an alarm and end it."""

from typing import Self

from pydantic import Field, model_validator

from container_component_src.values import Frozen


class AlarmRule(Frozen):
    """When smoothed scores raise an alarm, and when they end it.

    An alarm starts at a score above `raise_above`, and lasts while scores are above `clear_below` (hysteresis). It is
    raised once it has lasted `min_duration_ns`. Alarms that are at most `merge_gap_ns` apart are one. A gap in the data
    ends an alarm for good.
    """

    raise_above: float = Field(allow_inf_nan=False)  # nats
    clear_below: float = Field(allow_inf_nan=False)  # nats
    min_duration_ns: int = Field(0, ge=0)
    merge_gap_ns: int = Field(0, ge=0)  # from the last row of an alarm to the first of the next; 0: none are merged
    max_gap_ns: int | None = Field(None, ge=0)  # a longer time step is a gap in the data; None: there are none

    @model_validator(mode="after")
    def _levels_are_ordered(self) -> Self:
        if self.clear_below > self.raise_above:
            raise ValueError(f"clear_below {self.clear_below} is above raise_above {self.raise_above}")
        return self

    def at(self, threshold: float) -> "AlarmRule":
        """Return the rule with a single threshold in place of both levels."""
        return self.model_copy(update={"raise_above": threshold, "clear_below": threshold})

"""Result of a check for drift, stored as a JSON file; undefined numbers are null, never NaN."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, FiniteFloat

from container_component_src import storage
from container_component_src.alarms.alarm import Time
from container_component_src.steps.drift import DriftLimits
from container_component_src.values import Frozen

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class DriftReason(StrEnum):
    """Which limit a channel or the scores passed."""

    DISTRIBUTION = "distribution"  # the values are distributed in another way
    MISSING = "missing"  # more values are missing
    OUTSIDE = "outside"  # more values are outside the range of the reference


class ValueDrift(Frozen):
    """How the values of a channel, or the scores, differ from the reference.

    The reference of a channel is its training data, that of the scores are the smoothed scores of the calibration set.
    """

    psi: Annotated[FiniteFloat, Field(ge=0)] | None  # population stability index; None if there is no value
    ks: Share | None  # Kolmogorov-Smirnov statistic; None if there is no value
    p_value: Share | None  # of `ks`; None if it or the effective number of rows is unknown
    adjusted_p_value: Share | None  # for the number of channels
    effective_rows: Annotated[FiniteFloat, Field(gt=0)] | None  # independent rows that vary as much as the period
    missing_share: Share  # of the rows
    missing_share_before: Share  # in the reference
    outside_share: Share | None  # of the values, outside the range of the reference; None if there is no value
    outside_share_before: Share = 0.0  # largest in the reference, of a part of the same length outside all others
    drifted: bool
    reasons: tuple[DriftReason, ...]  # why it has drifted
    since: Time | None  # start of the time with drift; None: no drift


class DriftReport(Frozen):
    """Result of a check for drift.

    Channels that have drifted come first, then those with the largest population stability index.
    """

    start: Time  # time of the first row
    end: Time  # time of the last row
    rows: int = Field(ge=1)
    model_version: str
    limits: DriftLimits
    channels: dict[str, ValueDrift]
    scores: ValueDrift | None  # None: no scores were given, or the model has no reference for them
    exceeded: bool  # more channels than allowed, or the scores, have drifted
    reasons: tuple[str, ...]  # why, for people

    @property
    def drifted(self) -> Mapping[str, ValueDrift]:
        """The channels that have drifted."""
        return {name: channel for name, channel in self.channels.items() if channel.drifted}

    def write(self, uri: str) -> None:
        """Write the JSON file."""
        storage.resolve(uri).write_bytes(self.model_dump_json(indent=1).encode())

    @classmethod
    def read(cls, uri: str) -> "DriftReport":
        """Read the JSON file.

        Raises:
            InputError: The file is missing or is not a check for drift.
        """
        return storage.read_document(uri, cls, "a check for drift", "run check_drift again")

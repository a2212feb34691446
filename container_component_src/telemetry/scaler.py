"""The scaler: a centre and a scale for each channel, stored as JSON."""

from typing import Annotated, Self

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from container_component_src.arrays import Float32Array
from container_component_src.steps.data import ScalerType
from container_component_src.values import Frozen


class Scaler(Frozen):
    """Scales engineering units: (value - centre) / scale; missing values become 0, the centre."""

    type: ScalerType
    channels: tuple[str, ...]  # in order, without constant channels
    centre: tuple[FiniteFloat, ...]  # engineering units
    scale: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]  # engineering units
    dropped: tuple[str, ...] = ()  # channels that are constant in the training data

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        if not len(self.channels) == len(self.centre) == len(self.scale):
            raise ValueError("channels, centre and scale differ in length")
        return self

    def transform(self, values: Float32Array) -> Float32Array:
        """Return scaled values, shape [rows, channels] as the input; NaN and infinite values become 0."""
        scaled = values - np.asarray(self.centre, np.float32)
        scaled /= np.asarray(self.scale, np.float32)
        finite = np.isfinite(scaled)
        if not finite.all():
            scaled[~finite] = 0.0
        return scaled

    def inverse_transform(self, scaled: Float32Array) -> Float32Array:
        """Return values in engineering units, shape [rows, channels] as the input."""
        return scaled * np.asarray(self.scale, np.float32) + np.asarray(self.centre, np.float32)

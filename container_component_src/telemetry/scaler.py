"""The scaler: a centre and a scale for each channel, stored as JSON."""

from functools import cached_property
from typing import Annotated, Self

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from container_component_src.arrays import Float32Array, Float64Array
from container_component_src.steps.data import ScalerType
from container_component_src.values import Frozen

HALF_OF_LARGEST = float(np.finfo(np.float32).max) / 2


class Scaler(Frozen):
    """Scales engineering units: (value - centre) / scale; missing values become 0, the centre.

    The centre of a constant channel is its constant and its scale the resolution, so that the scaled value is the
    departure in resolutions. Channels without a value in the training data have no known constant, and are left out.
    """

    type: ScalerType
    channels: tuple[str, ...]  # in order, without absent channels
    centre: tuple[FiniteFloat, ...]  # engineering units
    scale: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]  # engineering units
    constant: tuple[str, ...] = ()  # those of the channels that are constant in the training data
    absent: tuple[str, ...] = ()  # further channels, without a value in the training data

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        if not len(self.channels) == len(self.centre) == len(self.scale):
            raise ValueError("channels, centre and scale differ in length")
        if not {*self.constant} < {*self.channels}:
            raise ValueError("the constant channels are not some of the channels")
        return self

    @property
    def varying(self) -> tuple[str, ...]:
        """The channels that are not constant in the training data."""
        constant = frozenset(self.constant)
        return tuple(name for name in self.channels if name not in constant)

    @cached_property
    def arrays(self) -> tuple[Float64Array, Float64Array]:
        """Centre and scale, [channels] each."""
        return np.array(self.centre), np.array(self.scale)

    @cached_property
    def safe_magnitude(self) -> float:
        """Magnitude of values below which the scaled values of all channels are at most half of the largest float32."""
        centre, scale = self.arrays
        return min(1.0, float(scale.min())) * HALF_OF_LARGEST - float(np.abs(centre).max())

    def transform(self, values: Float32Array, out: Float32Array | None = None) -> Float32Array:
        """Return scaled values, shape [rows, channels] as the input; NaN and infinite values become 0.

        Args:
            values: Values in engineering units.
            out: Where to write the scaled values, which may be `values`; a new array by default.
        """
        centre, scale = self.arrays
        scaled = np.subtract(values, centre.astype(np.float32), out=out)
        scaled /= scale.astype(np.float32)
        finite = np.isfinite(scaled)
        if not finite.all():
            scaled[~finite] = 0.0
        return scaled

    def inverse_transform(self, scaled: Float32Array) -> Float32Array:
        """Return values in engineering units, shape [rows, channels] as the input."""
        centre, scale = self.arrays
        return scaled * scale.astype(np.float32) + centre.astype(np.float32)

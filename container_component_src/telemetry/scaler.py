"""The scaler: per channel a centre and a scale, as JSON."""

from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat, model_validator

from container_component_src.steps.data import ScalerType
from container_component_src.values import Frozen


class Scaler(Frozen):
    """Turns engineering units into scaled ones: (value - centre) / scale, missing values to 0, the centre."""

    type: ScalerType
    channels: tuple[str, ...]  # in order; constant channels are dropped
    centre: tuple[FiniteFloat, ...]
    scale: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]
    dropped: tuple[str, ...] = ()  # channels that are constant in the training data

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if not len(self.channels) == len(self.centre) == len(self.scale):
            raise ValueError("channels, centre and scale differ in length")
        return self

    def transform(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scale values of shape [rows, len(channels)]; NaN and infinite ones become 0."""
        scaled = values - np.asarray(self.centre, np.float32)
        scaled /= np.asarray(self.scale, np.float32)
        finite = np.isfinite(scaled)
        if not finite.all():
            scaled[~finite] = 0.0
        return scaled

    def inverse_transform(self, scaled: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Back to engineering units, shape [rows, len(channels)]."""
        return scaled * np.asarray(self.scale, np.float32) + np.asarray(self.centre, np.float32)

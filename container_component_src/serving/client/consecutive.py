"""Consecutive rows that are sent to a model in pieces, and answered as if they were sent at once."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import BoolArray, Float64Array, IntArray, Timestamps
from container_component_src.serving.client.model_client import ModelDescription

NAMES = "imputed_channels"  # output with the names of the columns of `imputed` and `dead`
Outputs = dict[str, npt.NDArray[Any]]  # the first dimension of each is that of the rows, except for NAMES


class ScoringService(Protocol):
    """A model, deployed or in this process; `ModelClient` describes its methods and their errors."""

    def describe(self) -> ModelDescription:
        """Return the description of the model."""
        ...

    def score(
        self, values: Float64Array, timestamps: Timestamps | None = None, impute: bool = False
    ) -> tuple[dict[str, Any], Outputs]:
        """Have rows scored."""
        ...


@dataclass(frozen=True)
class Context:
    """The rows before the next piece on which its answers depend.

    These are the last rows, and for each channel that is missing in the last row the first row of this time and the row
    before it, so that the model sees for how long it is missing.
    """

    timestamps: Timestamps  # [rows]
    values: Float64Array  # engineering units, [rows, channels]


class ConsecutiveRows:
    """Has consecutive rows scored; with timestamps, each request repeats rows of those before.

    Args:
        service: Scores the rows.
        model: Its description.
        impute: Whether missing values, which are NaN, are scored as the centre of their channel.
        context: The rows before; None: there are none.
    """

    def __init__(
        self, service: ScoringService, model: ModelDescription, impute: bool, context: Context | None = None
    ) -> None:
        self._service = service
        self._impute = impute
        self._rows = max(1, model.context_rows)
        self.context = context or Context(np.empty(0, np.int64), np.empty((0, len(model.channels))))

    def push(self, timestamps: Timestamps | None, values: Float64Array) -> tuple[Outputs, str]:
        """Return the answers to the next rows and the version of the model; after an error, they are not known.

        Args:
            timestamps: Shape [rows].
            values: Engineering units, [rows, channels] in the order of the model.
        """
        before = 0
        if timestamps is not None:
            before = len(self.context.timestamps)
            timestamps = np.concatenate([self.context.timestamps, timestamps])
            values = np.concatenate([self.context.values, values])
        head, outputs = self._service.score(values, timestamps, self._impute)
        if timestamps is not None:
            kept = self._kept(~np.isfinite(values))
            self.context = Context(timestamps[kept], values[kept])
        rows = {name: array if name == NAMES else array[before:] for name, array in outputs.items()}
        return rows, head["model_version"]

    def _kept(self, missing: BoolArray) -> IntArray:
        rows = len(missing)
        ended = missing[:, missing[-1]]
        last_values = np.where(ended, -1, np.arange(rows)[:, np.newaxis]).max(axis=0, initial=-1)
        kept = np.concatenate([last_values, last_values + 1, np.arange(rows - self._rows, rows)])
        return np.unique(kept[kept >= 0])


def request_rows(model: ModelDescription, requested: int) -> int:
    """Return the number of rows per request, of which there may be only so many with the context."""
    context_rows = model.context_rows + 2 * len(model.channels)  # the latter if all channels are missing
    return min(requested, max(1, model.max_rows - context_rows))

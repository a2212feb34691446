"""Missing values of a request: which were imputed, and which channels are dead, because they are missing for long."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import BoolArray, IntArray, Timestamps
from container_component_src.serving.protocol.rows import Rows

_NANOSECONDS = 1e9  # of a second


@dataclass(frozen=True)
class Imputation:
    """The imputed values of a request, in the n channels that have any."""

    columns: IntArray  # positions of these channels among those of the model, shape [n]
    names: tuple[str, ...]  # of these channels
    imputed: BoolArray  # shape [rows, n]
    dead: BoolArray | None  # channels that are missing for too long, shape [rows, n]; None without timestamps

    @property
    def alarms(self) -> BoolArray:
        """Rows in which a channel is dead, shape [rows]."""
        dead = np.zeros_like(self.imputed) if self.dead is None else self.dead
        return np.asarray(dead.any(axis=1))

    @property
    def size(self) -> int:
        """Number of values in all tensors."""
        return len(self.names) + self.imputed.size + (0 if self.dead is None else self.dead.size)

    def predictions(self) -> list[dict[str, Any]]:
        """Return the names of the channels for each row, as in an answer of the V1 protocol."""
        answers: list[dict[str, Any]] = [{"imputed_channels": names} for names in _names(self.names, self.imputed)]
        if self.dead is not None:
            for answer, names in zip(answers, _names(self.names, self.dead), strict=True):
                answer["dead_channels"] = names
        return answers

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the names of the channels, and arrays with one column for each of them, as in V2 answers."""
        dead = {} if self.dead is None else {"dead": self.dead}
        return {"imputed_channels": np.array(self.names, dtype=object), "imputed": self.imputed, **dead}


def imputation(rows: Rows, channels: Sequence[str], dead_after: float) -> Imputation | None:
    """Return the imputed values of rows; None if the request does not impute.

    A channel is dead in a row if it has been missing in this row and all rows since one that is more than `dead_after`
    seconds earlier. Rows before the request are unknown.

    Args:
        rows: Rows of a request.
        channels: Names of the channels of the model.
        dead_after: Seconds.
    """
    if rows.missing is None:
        return None
    columns = np.flatnonzero(rows.missing.any(axis=0))
    imputed = rows.missing[:, columns]
    dead = None
    if rows.timestamps is not None:
        dead = np.zeros_like(imputed)
        for column in range(imputed.shape[1]):
            seconds = _missing_for(imputed[:, column], rows.timestamps) / _NANOSECONDS
            dead[:, column] = seconds > dead_after
    return Imputation(columns, tuple(channels[column] for column in columns.tolist()), imputed, dead)


def _missing_for(missing: BoolArray, timestamps: Timestamps) -> IntArray:
    """Return the time since the first of the missing values up to each row in nanoseconds, 0 for values; [rows]."""
    position = np.arange(len(missing))
    last_value = np.maximum.accumulate(np.where(missing, -1, position))
    return np.where(missing, timestamps - timestamps[np.minimum(last_value + 1, position)], 0)


def _names(channels: Sequence[str], mask: BoolArray) -> list[list[str]]:
    """Return the names of the columns that are true in each row; rows that are equal share a list."""
    known: dict[bytes, list[str]] = {}
    keys = [row.tobytes() for row in mask]
    for key, row in zip(keys, mask, strict=True):
        if key not in known:
            known[key] = [channels[column] for column in np.flatnonzero(row).tolist()]
    return [known[key] for key in keys]

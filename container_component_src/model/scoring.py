"""Scores of the rows of a dataset, piece by piece; importing this module does not import torch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from container_component_src.arrays import Float32Array, Float64Array, Timestamps
from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.series import Context
from container_component_src.telemetry.smoothing import Smoother
from container_component_src.telemetry.timestamps import to_iso

if TYPE_CHECKING:
    from container_component_src.model.row_scorer import RowScorer


class SeriesScorer:
    """Scores consecutive pieces of a dataset; the result does not depend on how it is cut.

    Args:
        scorer: Scores the rows.
    """

    def __init__(self, scorer: "RowScorer") -> None:
        self._scorer = scorer
        self._context: Context[np.float32] = Context(scorer.network.window_steps - 1)

    def push(self, timestamps: Timestamps, values: Float32Array) -> Float32Array:
        """Return the contributions of the next rows in nats, [rows, channels].

        Args:
            timestamps: Shape [rows].
            values: Scaled time steps, [rows, channels].
        """
        all_timestamps, all_values, known = self._with_context(timestamps, values)
        return self._scorer.contributions(all_values, all_timestamps)[known:]

    def push_with_expected(self, timestamps: Timestamps, values: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return what `push` returns, and the reconstruction of the values in scaled units, [rows, channels]."""
        all_timestamps, all_values, known = self._with_context(timestamps, values)
        contributions, expected = self._scorer.contributions_and_reconstruction(all_values, all_timestamps)
        return contributions[known:], expected[known:]

    def _with_context(
        self, timestamps: Timestamps, values: Float32Array
    ) -> tuple[Timestamps | None, Float32Array, int]:
        """Return the rows with those before that their windows need, and how many these are."""
        if self._scorer.network.window_steps == 1:
            return None, values, 0
        return self._context.extend(timestamps, values)


class Rows(Protocol):
    """Scaled rows, such as those of a dataset."""

    @property
    def location(self) -> Location:
        """Folder of the dataset, for messages."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the columns."""

    def frames(self) -> Iterator[Frame]:
        """Yield consecutive pieces of the rows, in order of time."""


class ScoredFrame(NamedTuple):
    """Rows of a dataset with their scores."""

    frame: Frame
    contributions: Float32Array  # nats, [rows, channels]
    expected: Float32Array  # reconstruction in scaled units, [rows, channels]; [rows, 0] if it was not asked for
    scores: Float32Array  # nats, [rows]
    smoothed: Float64Array  # nats, [rows]


def scored_frames(
    scorer: "RowScorer", smoother: Smoother, dataset: Rows, with_expected: bool = False
) -> Iterator[ScoredFrame]:
    """Score a dataset, partition by partition.

    Args:
        scorer: Scores the rows.
        smoother: Smooths the scores.
        dataset: Scaled rows.
        with_expected: Whether the reconstruction is asked for.

    Raises:
        InputError: A contribution is not finite.
    """
    series = SeriesScorer(scorer)
    for frame in dataset.frames():
        if with_expected:
            contributions, expected = series.push_with_expected(frame.timestamps, frame.values)
        else:
            contributions = series.push(frame.timestamps, frame.values)
            expected = contributions[:, :0]
        _check_finite(contributions, dataset, frame)
        scores = contributions.sum(axis=1)
        yield ScoredFrame(frame, contributions, expected, scores, smoother.push(frame.timestamps, scores))


def _check_finite(contributions: Float32Array, dataset: Rows, frame: Frame) -> None:
    """Check the contributions of a frame, [rows, channels].

    Raises:
        InputError: A contribution is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(contributions).all(axis=1))
    if len(bad):
        row = int(bad[0])
        values = frame.values[row]
        # One missing value makes the contributions of all channels missing.
        suspects = contributions[row] if np.isfinite(values).all() else values
        channel = int(np.argmin(np.isfinite(suspects)))
        raise InputError(
            f"{dataset.location.uri}: the model gives no finite score for {to_iso(int(frame.timestamps[row]))}, where "
            f"channel '{dataset.channels[channel]}' is {values[channel]}",
            fix="scale the data, which fills missing values",
        )

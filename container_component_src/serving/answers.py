"""What the service answers per row: the score, whether it is an alarm, and the channels behind it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

TOP_CHANNELS = 5

Floats = npt.NDArray[np.float64]


def answers(
    scores: Sequence[float], parts: Floats, observed: Floats, channels: Sequence[str], threshold: float
) -> list[dict[str, Any]]:
    """One answer per row.

    Args:
        scores: Negative log-likelihood in nats per row; larger is more abnormal.
        parts: The share of every channel in these nats, shape [rows, channels]; a row of them sums to its score.
        observed: Values in engineering units, shape [rows, channels].
        channels: Names, in the order of the columns.
        threshold: Calibrated alarm threshold in nats.

    Returns:
        Per row `score`, `threshold`, `alarm` (score above the threshold) and `top_channels`: the channels with the
        highest parts, highest first, each with its `share` of the positive parts of the row and its `observed` value.
    """
    top = np.argsort(-parts, axis=1, kind="stable")[:, :TOP_CHANNELS]
    # The likelihood is a density, so the part of a channel that is just as expected may be below zero.
    positive = np.maximum(parts, 0.0)
    total = positive.sum(axis=1, keepdims=True)
    shares = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    return [
        {
            "score": score,
            "threshold": threshold,
            "alarm": score > threshold,
            "top_channels": [
                {
                    "channel": channels[column],
                    "share": float(shares[row, column]),
                    "observed": float(observed[row, column]),
                }
                for column in top[row]
            ],
        }
        for row, score in enumerate(scores)
    ]

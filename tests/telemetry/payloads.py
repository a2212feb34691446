"""Payloads of two channels, and where their rows are found in a log."""

import numpy as np

from container_component_src.telemetry.payload_log import Payload

CHANNELS = ("pressure", "flow.rate")
SECOND = 10**9
NOON = 1_700_049_600 * SECOND  # 2023-11-15T12:00:00
DAY = 86_400 * SECOND


def payload(received: int = NOON, rows: int = 3, request_id: str = "a", first: float = 0.0) -> Payload:
    """Return rows whose values count up from `first`."""
    values = first + np.arange(rows * len(CHANNELS), dtype=np.float64).reshape(rows, -1)
    return Payload(
        received=received,
        request_id=request_id,
        model_version="v1",
        rows=np.arange(rows),
        values=values,
        expected=(values + 0.5).astype(np.float32),
        scores=values.sum(axis=1),
        alarms=values[:, 0] > 2,
        smoothed_scores=values[:, 0],
        timestamps=received + SECOND * np.arange(rows),
    )

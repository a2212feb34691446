"""Departures of the channels that are constant in the training data."""

from dataclasses import dataclass, field

import numpy as np

from container_component_src.arrays import Float32Array
from container_component_src.evaluation.result import ConstantChannel, Departures
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.scaler import Scaler


@dataclass
class DepartureCount:
    """Rows in which each constant channel departs from its constant by more than its resolution."""

    scaler: Scaler | None  # of the data; None: no channel is known to be constant
    _rows: dict[str, int] = field(default_factory=dict)
    _first: dict[str, int] = field(default_factory=dict)  # nanoseconds since 1970 UTC

    def add(self, frame: Frame) -> None:
        """Count the next rows, which are scaled and have all channels of the scaler."""
        if self.scaler is None:
            return
        for name in self.scaler.constant:
            values: Float32Array = frame.values[:, self.scaler.channels.index(name)]
            moved = np.abs(values) > 1
            if moved.any():
                self._rows[name] = self._rows.get(name, 0) + int(moved.sum())
                self._first.setdefault(name, int(frame.timestamps[moved.argmax()]))

    def of(self, channel: str) -> Departures:
        """Return the departures of a channel so far."""
        return Departures(rows=self._rows.get(channel, 0), first=self._first.get(channel))


def constant_channels(calibration: DepartureCount, test: DepartureCount) -> tuple[ConstantChannel, ...]:
    """Return the constant channels of the scaler, with their departures in the calibration and test data."""
    scaler = test.scaler
    if scaler is None:
        return ()
    return tuple(
        ConstantChannel(
            channel=name, constant=centre, resolution=scale, calibration=calibration.of(name), test=test.of(name)
        )
        for name, centre, scale in zip(scaler.channels, scaler.centre, scaler.scale, strict=True)
        if name in scaler.constant
    )

"""Anomaly scores of time steps in nats, as contributions of all channels.

The channels that vary in the training data are scored by a network. The constant ones are not seen by it: each
contributes by how far it departs from its constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from container_component_src.arrays import Float32Array, IntArray, Timestamps
from container_component_src.model.device_windows import device_windows
from container_component_src.model.network import Network
from container_component_src.model.reproducible import rows_of_blocks
from container_component_src.model.windows import Windowing

BATCH_ROWS = 1_024  # activations stay in the processor's cache, see docs/results.md
_DEVICE_BATCH_ROWS = 65_536
MOST_DEPARTURE = 1e6  # resolutions that count; its square is finite in float32
DEGREES_OF_FREEDOM = 199  # chosen by measurement, see docs/results.md


@dataclass(frozen=True)
class RowScorer:
    """Scores time steps of all channels.

    A constant channel contributes by its departure in the present time step alone (`departure_nats`).

    Attributes:
        network: Trained network; its mode and device do not change.
        spreads: Usual departure of each constant channel in resolutions, by the position of the channel.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.
    """

    network: Network
    spreads: Mapping[int, float] = field(default_factory=dict)
    max_gap_ns: int | None = None

    @classmethod
    def of(
        cls, network: Network, channels: Sequence[str], spreads: Mapping[str, float], max_gap_ns: int | None
    ) -> "RowScorer":
        """Return the scorer of named channels; `spreads` is that of the constant ones by name."""
        return cls(network, {channels.index(name): spread for name, spread in spreads.items()}, max_gap_ns)

    def contributions(self, values: Float32Array, timestamps: Timestamps | None = None) -> Float32Array:
        """Return the contribution of each channel to the score of each time step.

        Args:
            values: Scaled time steps, [rows, channels].
            timestamps: Shape [rows], for a network of several time steps; without them, each row is scored by itself.

        Returns:
            Nats, [rows, channels]; the sum over channels is the score.
        """
        return self._outputs(values, timestamps, 1)[0]

    def contributions_and_reconstruction(
        self, values: Float32Array, timestamps: Timestamps | None = None
    ) -> tuple[Float32Array, Float32Array]:
        """Return the contributions, and the reconstruction of the values; arguments are those of `contributions`.

        Returns:
            Nats and scaled units, each [rows, channels]; a constant channel is reconstructed as its constant, 0.
        """
        contributions, reconstruction = self._outputs(values, timestamps, 2)
        return contributions, reconstruction

    def scores(self, values: Float32Array) -> Float32Array:
        """Return the score in nats of each time step by itself, [rows]."""
        return np.asarray(self.contributions(values).sum(axis=1))

    @torch.inference_mode()
    def _outputs(self, values: Float32Array, timestamps: Timestamps | None, count: int) -> list[Float32Array]:
        """Return the first outputs of the network, [rows, channels] each, completed by the constant channels."""
        varying: Any = np.delete(np.arange(values.shape[1]), self._constant) if self.spreads else slice(None)
        device = next(self.network.parameters()).device
        network_outputs = self._on_cpu if device.type == "cpu" else partial(self._on_device, device=device)
        outputs = network_outputs(values, timestamps, varying, count)
        if self.spreads:
            departures = np.clip(values[:, self._constant], -MOST_DEPARTURE, MOST_DEPARTURE)
            spreads = np.array(list(self.spreads.values()), dtype=np.float32)
            outputs[0][:, self._constant] = departure_nats(departures / spreads)
        return outputs

    def _on_cpu(
        self, values: Float32Array, timestamps: Timestamps | None, varying: Any, count: int
    ) -> list[Float32Array]:
        """Return the first outputs of the network, with zeros for the channels that do not vary.

        The outputs of a row do not depend on how many rows there are, to the last bit: so a row that comes alone has
        the score that it has among a million. `use_strict_products` sees to it; where it does not, the last block of
        rows is filled (`rows_of_blocks`).
        """
        outputs, first = [np.zeros(values.shape, dtype=np.float32) for _ in range(count)], 0
        for windows in self._windowing.batches(values[:, varying], timestamps, BATCH_ROWS):
            rows = slice(first, first + len(windows))
            missing = -len(windows) % rows_of_blocks(self.network, windows.shape[1])
            filled = np.pad(windows, ((0, missing), (0, 0))) if missing else np.require(windows, None, ("C", "W"))
            found = self.network(torch.from_numpy(filled))
            for output, part in zip(outputs, found, strict=False):
                output[rows, varying] = part.numpy()[: len(windows)]
            first += len(windows)
        return outputs

    def _on_device(
        self, values: Float32Array, timestamps: Timestamps | None, varying: Any, count: int, device: torch.device
    ) -> list[Float32Array]:
        """Return what `_on_cpu` returns; the device puts the windows together, and waits for no copy of a result."""
        columns = torch.arange(values.shape[1], device=device)[varying]
        outputs = [torch.empty(values.shape, pin_memory=device.type == "cuda") for _ in range(count)]
        first = 0
        for windows in device_windows(self._windowing, values, timestamps, columns, _DEVICE_BATCH_ROWS):
            rows = slice(first, first + len(windows))
            for output, part in zip(outputs, self.network(windows), strict=False):
                completed = torch.zeros_like(output[rows], device=device).index_copy_(1, columns, part)
                output[rows].copy_(completed, non_blocking=True)
            first += len(windows)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return [output.numpy() for output in outputs]

    @property
    def _windowing(self) -> Windowing:
        return Windowing(self.network.window_steps, self.max_gap_ns)

    @cached_property
    def _constant(self) -> IntArray:
        """Positions of the constant channels, [constant channels]."""
        return np.array(list(self.spreads), dtype=np.int64)


def departure_nats(departures: Float32Array) -> Float32Array:
    """Return the contributions of departures from constants in nats, in their shape; 0 while a channel keeps its value.

    They are negative log-likelihoods under Student's t-distribution, less their least value. Up to about ten usual
    departures they grow by the square, as a Gaussian's would, and then by the logarithm. So a switch that was never
    used in the training data is seen, but does not hide all that the other channels show.

    Args:
        departures: Departures, as multiples of the usual one.
    """
    squares = np.square(departures) / DEGREES_OF_FREEDOM
    return np.asarray(0.5 * (DEGREES_OF_FREEDOM + 1) * np.log1p(squares), dtype=np.float32)

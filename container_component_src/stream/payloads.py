"""The rows of a stream and their answers, for the payload log."""

import time

import numpy as np

from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.serving.client.consecutive import Outputs
from container_component_src.serving.client.model_client import ModelDescription
from container_component_src.telemetry.payload_log import Payload
from container_component_src.telemetry.payload_writer import PayloadWriter

EXPECTED = "expected"  # output of a model in this process: the reconstruction in engineering units, [rows, channels]


class StreamPayloads:
    """Logs the rows of a stream.

    Args:
        uri: Folder of the log.
        stream: Name of the stream, which takes the place of the ID of a request.
        model: The model that scores.
        days: Days after which rows are deleted; 0 keeps them.

    Raises:
        InputError: The folder cannot be used.
    """

    def __init__(self, uri: str, stream: str, model: ModelDescription, days: int) -> None:
        self._stream = stream
        self._channels = model.channels
        self._writer = PayloadWriter(uri, model.channels, days=days)

    def log(self, version: str, timestamps: Timestamps, values: Float64Array, outputs: Outputs) -> None:
        """Log rows; this neither fails nor waits.

        Args:
            version: Of the model.
            timestamps: Shape [rows].
            values: Engineering units, [rows, channels].
            outputs: The answers.
        """
        self._writer.put(
            Payload(
                received=time.time_ns(),
                request_id=self._stream,
                model_version=version,
                rows=np.arange(len(timestamps)),
                values=values,
                expected=outputs[EXPECTED] if EXPECTED in outputs else expected_of(outputs, self._channels),
                scores=outputs["score"],
                alarms=outputs["alarm"],
                smoothed_scores=outputs["smoothed_score"],
                timestamps=timestamps,
            )
        )

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()


def expected_of(outputs: Outputs, channels: tuple[str, ...]) -> Float64Array:
    """Return the expected values that the answers of a service name, [rows, channels]; NaN for all other channels."""
    positions = {name: position for position, name in enumerate(channels)}
    columns = [[positions[name] for name in row] for row in outputs["top_channel"].tolist()]
    expected = np.full((len(columns), len(channels)), np.nan)
    np.put_along_axis(expected, np.array(columns, dtype=np.int64), outputs["top_expected"], axis=1)
    return expected

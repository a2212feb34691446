"""Which rows of the answered requests go into the payload log."""

import hashlib
from collections.abc import Callable

import numpy as np

from container_component_src.arrays import IntArray
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.protocol.process import SMOKE_TEST_ID
from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.server.answers import Assessment
from container_component_src.serving.server.scorers import Scored
from container_component_src.steps.serving import PayloadLogging
from container_component_src.telemetry.payload_log import Payload
from container_component_src.telemetry.payload_writer import PayloadWriter

_HASH_BYTES = 8


class PayloadLog:
    """Logs rows of requests with their answers.

    Whether a request is in the sample follows from its id alone, so that one that is sent again, or to another replica,
    is logged each time or never.

    Args:
        options: What is logged, and where.
        info: Description of the bundle that answers.
        count: Called with the numbers of rows that were written and that were dropped.

    Raises:
        InputError: The folder of the log cannot be used.
    """

    def __init__(self, options: PayloadLogging, info: BundleInfo, count: Callable[[int, int], None]) -> None:
        self._options, self._info = options, info
        self._below = round(options.payload_log_fraction * 256**_HASH_BYTES)
        self._writer = PayloadWriter(options.payload_log, info.channels, days=options.payload_log_days, count=count)

    def log(self, received: int, request_id: str, rows: Rows, scored: Scored, answer: Assessment) -> None:
        """Log the rows of a request that are in the sample, or in alarm; this neither fails nor waits.

        Args:
            received: When the request came, nanoseconds since 1970-01-01 UTC.
            request_id: Id of the request.
            rows: Its rows.
            scored: Output of the model for them.
            answer: What was answered.
        """
        chosen = self._chosen(request_id, answer)
        if not len(chosen):
            return
        part = slice(None) if len(chosen) == len(answer.scores) else chosen  # all rows are not copied
        reconstruction, scaler = scored.reconstruction[part], self._info.scaler
        smoothed, timestamps = answer.smoothed, rows.timestamps
        self._writer.put(
            Payload(
                received=received,
                request_id=request_id,
                model_version=self._info.version,
                rows=chosen,
                values=rows.values[part],
                expected=reconstruction if scaler is None else scaler.inverse_transform(reconstruction),
                scores=answer.scores[part],
                alarms=answer.alarms[part],
                smoothed_scores=None if smoothed is None else smoothed.scores[part],
                timestamps=None if timestamps is None else timestamps[part],
            )
        )

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _chosen(self, request_id: str, answer: Assessment) -> IntArray:
        """Return the positions of the rows to log."""
        if request_id.startswith(SMOKE_TEST_ID):
            return np.empty(0, np.int64)
        if _hash(request_id) < self._below:
            return np.arange(len(answer.scores))
        return np.flatnonzero(answer.alarms & self._options.payload_log_alarms)


def _hash(request_id: str) -> int:
    digest = hashlib.blake2b(request_id.encode(errors="replace"), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "big")

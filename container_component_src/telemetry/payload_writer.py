"""Writes a payload log from a thread of its own, so that no request waits for a disk or a store."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from container_component_src import storage
from container_component_src.errors import PipelineError
from container_component_src.storage import Location
from container_component_src.telemetry.payload_log import DAY, Payload, day_of, write_payloads

FILE_ROWS = 10_000
FILE_SECONDS = 60.0
MOST_BYTES = 128 * 2**20  # of values that wait to be written
_CLOSE_SECONDS = 10.0  # a pod has 30 to stop

logger = logging.getLogger(__name__)


class PayloadWriter:
    """Takes payloads and writes a file when there are enough rows, when some time has passed, and in the end.

    A failure of the store drops the rows of a file, and is logged and counted; it never reaches the caller.

    Args:
        uri: Folder of the log.
        channels: Names of the columns of the values.
        days: Days after which the folder of a day is deleted; 0 keeps all.
        count: Called with the numbers of rows that were written and that were dropped.
        file_rows: Rows of a file; one request is never divided.
        file_seconds: Longest time until a row is written.
        most_bytes: Bytes of values that may wait to be written; further payloads are dropped.

    Raises:
        InputError: The URI is invalid, or its path cannot be a folder.
    """

    def __init__(
        self,
        uri: str,
        channels: Sequence[str],
        *,
        days: int = 0,
        count: Callable[[int, int], None] = lambda written, dropped: None,
        file_rows: int = FILE_ROWS,
        file_seconds: float = FILE_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._root = storage.resolve(uri)
        self._root.check_output(folder=True)
        self._channels, self._days, self._count = tuple(channels), days, count
        self._file_rows, self._file_seconds, self._most_bytes = file_rows, file_seconds, most_bytes
        self._changed = threading.Condition()
        self._waiting: list[Payload] = []
        self._waiting_rows, self._held, self._closed = 0, 0, False
        self._cleaned = -1  # day on which old folders were deleted last
        self._thread = threading.Thread(target=self._run, name="payload-log", daemon=True)
        self._thread.start()

    def put(self, payload: Payload) -> bool:
        """Take the rows of a payload, whose arrays must not change any more.

        Returns:
            Whether they are going to be written; if not, they are counted as dropped.
        """
        rows = len(payload.rows)
        with self._changed:
            taken = not self._closed and self._held + payload.size <= self._most_bytes
            if taken:
                self._waiting.append(payload)
                self._waiting_rows += rows
                self._held += payload.size
                if self._waiting_rows >= self._file_rows:
                    self._changed.notify()
        if not taken:
            self._count(0, rows)
        return taken

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Write what waits, and end; rows that the store does not take in so many seconds are lost."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("payload log: the last rows are not written yet, and may be lost")

    def _run(self) -> None:
        while True:
            self._delete_old()
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._waiting_rows >= self._file_rows, self._file_seconds
                )
                payloads, self._waiting, self._waiting_rows = self._waiting, [], 0
                closed = self._closed
            if payloads:
                self._write(payloads)
            if closed:
                return

    def _write(self, payloads: Sequence[Payload]) -> None:
        rows, written = sum(len(payload.rows) for payload in payloads), False
        try:
            write_payloads(self._root, self._channels, payloads)
            written = True
        except Exception as error:  # the thread goes on whatever happens, as the server does
            _warn(f"{rows} rows are dropped", error)
        with self._changed:
            self._held -= sum(payload.size for payload in payloads)
        self._count(*((rows, 0) if written else (0, rows)))

    def _delete_old(self) -> None:
        now = time.time_ns()
        today = now // DAY
        if not self._days or self._cleaned == today:
            return
        self._cleaned = today
        try:
            deleted = delete_old_days(self._root, self._days, now)
        except Exception as error:
            _warn("old folders are not deleted", error)
        else:
            logger.info("payload log: deleted %d folders older than %d days", len(deleted), self._days)


def delete_old_days(root: Location, days: int, now: int) -> list[str]:
    """Delete the folders of days that ended more than so many days ago; several processes may do so at a time.

    Args:
        root: Folder of the log.
        days: Days to keep, beside the current one.
        now: Nanoseconds since 1970-01-01 UTC.

    Returns:
        Names of the deleted folders.

    Raises:
        InputError: The key has no permission to delete.
        OSError: The disk does not allow it.
    """
    oldest = now // DAY - days
    old = [folder for folder in root.children() if (day := day_of(folder)) is not None and day < oldest]
    for folder in old:
        try:
            folder.remove()
        except FileNotFoundError:
            logger.debug("%s: another process deletes it, too", folder.uri)
    return [folder.name for folder in old]


def _warn(problem: str, error: Exception) -> None:
    expected = isinstance(error, PipelineError | OSError)
    logger.warning("payload log: %s: %s", problem, error, exc_info=None if expected else error)

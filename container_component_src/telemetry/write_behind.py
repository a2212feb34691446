"""Writing of datasets in threads."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter

WRITTEN_AT_ONCE = 2  # frames, which are all in memory


class WriteBehind:
    """Writes a few frames at the same time, each in a thread, while the caller reads and computes the next one.

    It takes longer to write a frame than to read and scale it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(WRITTEN_AT_ONCE)
        self._unfinished: deque[Future[None]] = deque()

    def __enter__(self) -> "WriteBehind":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._threads.shutdown()
        while kind is None and self._unfinished:
            self._unfinished.popleft().result()

    def write(self, writer: DatasetWriter, frame: Frame) -> None:
        """Add a partition, after the first of those that are still being written if they are many; raises its error."""
        if len(self._unfinished) == WRITTEN_AT_ONCE:
            self._unfinished.popleft().result()
        self._unfinished.append(self._threads.submit(writer.write, frame, writer.next_file()))

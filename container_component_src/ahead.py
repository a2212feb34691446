"""Work that is done ahead: the next items of an iterator, in a thread."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """Yield all items; a thread prepares the next ones in the meantime.

    Args:
        items: What to yield; an error that it raises is raised here.
        count: Most items that are prepared and not yet yielded.
    """

    def following() -> list[T]:
        return list(islice(items, 1))  # none after the last one

    thread = ThreadPoolExecutor(max_workers=1)
    try:
        upcoming = deque(thread.submit(following) for _ in range(count))
        while item := upcoming.popleft().result():
            upcoming.append(thread.submit(following))
            yield item[0]
    finally:
        thread.shutdown(cancel_futures=True)

"""Runs large work in a thread, so that the event loop answers probes and small requests meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

INLINE_BYTES = 100_000  # work on fewer bytes takes about a millisecond; a thread would cost more than it saves

# One thread: PyTorch's own threads keep the cores busy, and large requests do not add up in memory.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-requests")


async def offload(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of work on `size` bytes, which is done in a thread if they are many."""
    if size <= INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_thread, lambda: work(*args, **kwargs))

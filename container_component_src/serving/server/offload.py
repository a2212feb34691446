"""Keeps the event loop free, so that probes and small requests are answered beside a large one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

INLINE_BYTES = 100_000  # work on less takes about a millisecond, and a thread would cost more than it spares

# One thread: the model's own threads keep the cores busy, and large requests do not add up in memory.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-requests")


async def offload(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on so many bytes: at once if they are few, else in a thread."""
    if size <= INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_thread, lambda: work(*args, **kwargs))

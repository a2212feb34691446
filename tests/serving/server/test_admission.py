import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import Any
from unittest import mock

import pytest

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from container_component_src.serving.server import admission
    from container_component_src.serving.server.admission import LARGE_TURNS, SMALL_TURNS, Admission, OverloadedError
    from container_component_src.serving.server.offload import INLINE_BYTES

SMALL, LARGE = 100, INLINE_BYTES + 1
BODY = 10 * LARGE


class Work:
    """Requests that end when they are told to."""

    def __init__(self, waiting: int) -> None:
        self.admission = Admission(waiting, BODY)
        self.over = asyncio.Event()
        self.begun: list[int] = []

    async def request(self, number: int, size: int) -> int:
        async with self.admission.turn(size):
            self.begun.append(number)
            await self.over.wait()
        return number


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def settled(tasks: list["asyncio.Task[int]"]) -> None:
    """Let all tasks go as far as they can."""
    for _ in range(3 * len(tasks)):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("size", "turns"), [(SMALL, SMALL_TURNS), (LARGE, LARGE_TURNS)])
def test_further_requests_wait_in_order_for_a_turn(size: int, turns: int) -> None:
    async def ask() -> None:
        work = Work(waiting=5)
        tasks = [asyncio.create_task(work.request(number, size)) for number in range(turns + 5)]
        await settled(tasks)
        assert work.begun == list(range(turns))
        work.over.set()
        assert await asyncio.gather(*tasks) == work.begun == list(range(turns + 5))

    run(ask())


def test_a_request_is_refused_when_too_many_wait() -> None:
    async def ask() -> None:
        work = Work(waiting=5)
        tasks = [asyncio.create_task(work.request(number, SMALL)) for number in range(SMALL_TURNS + 5)]
        await settled(tasks)
        with pytest.raises(OverloadedError, match="5 requests wait already"):
            await work.request(-1, SMALL)
        work.over.set()
        await asyncio.gather(*tasks)
        assert await work.request(-1, SMALL) == -1

    run(ask())


def test_a_request_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        work = Work(waiting=5)
        tasks = [asyncio.create_task(work.request(number, LARGE)) for number in range(LARGE_TURNS)]
        await settled(tasks)
        monkeypatch.setattr(admission, "WAIT_SECONDS", 0.0)
        with pytest.raises(OverloadedError, match="waited 0 s"):
            await work.request(-1, LARGE)
        work.over.set()
        await asyncio.gather(*tasks)

    run(ask())


def test_a_cancelled_request_gives_its_place_to_the_next() -> None:
    async def ask() -> None:
        work = Work(waiting=1)
        tasks = [asyncio.create_task(work.request(number, LARGE)) for number in range(LARGE_TURNS + 1)]
        await settled(tasks)
        tasks.pop().cancel()
        tasks.pop(0).cancel()
        tasks.append(asyncio.create_task(work.request(9, LARGE)))
        await settled(tasks)
        assert work.begun == [*range(LARGE_TURNS), 9]
        work.over.set()
        await asyncio.gather(*tasks)

    run(ask())


def test_small_requests_do_not_wait_for_large_ones() -> None:
    async def ask() -> None:
        work = Work(waiting=0)
        tasks = [asyncio.create_task(work.request(number, LARGE)) for number in range(LARGE_TURNS)]
        tasks.append(asyncio.create_task(work.request(9, SMALL)))
        await settled(tasks)
        assert work.begun == [*range(LARGE_TURNS), 9]
        work.over.set()
        await asyncio.gather(*tasks)

    run(ask())


def test_all_requests_together_hold_a_limited_number_of_bytes() -> None:
    bodies = Admission(0, BODY)
    with bodies.holding() as first, bodies.holding() as second:
        for size in (LARGE, 2 * BODY, 3 * BODY):  # as a body grows
            first(size)
        second(BODY)
        with bodies.holding() as third:
            third(INLINE_BYTES)
            with pytest.raises(OverloadedError, match="too many large requests"):
                third(LARGE)
    with bodies.holding() as hold:
        hold(4 * BODY)


def test_the_event_loop_looks_for_probes_between_small_requests_that_do_not_wait() -> None:
    async def ask() -> None:
        turns, done = Admission(100, BODY), [0]

        async def request() -> None:
            async with turns.turn(SMALL):
                done[0] += 1

        tasks = [asyncio.create_task(request()) for _ in range(5 * SMALL_TURNS)]
        before = 0
        while before < len(tasks):
            await asyncio.sleep(0)  # all that is ready has its go
            assert done[0] - before <= SMALL_TURNS
            before = done[0]
        await asyncio.gather(*tasks)

    run(ask())


@pytest.mark.parametrize(("size", "searched"), [(SMALL, False), (LARGE, True)])
def test_the_memory_of_a_large_request_that_failed_is_free_for_the_next(size: int, searched: bool) -> None:
    admitted = Admission(0, BODY)
    with mock.patch.object(gc, "collect") as collect:
        with pytest.raises(ValueError, match="wrong"), admitted.holding() as hold:
            hold(size)
            raise ValueError("wrong")
        collect.assert_not_called()
        for _ in range(2):
            with admitted.holding() as hold:
                hold(LARGE)
    assert collect.call_count == int(searched)

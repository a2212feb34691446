import asyncio
from collections.abc import AsyncIterator, Coroutine

from container_component_src.console import hub as hubs
from container_component_src.console.hub import Hub


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def events(stream: AsyncIterator[bytes], count: int) -> list[str]:
    """The data of the next events."""
    found: list[str] = []
    while len(found) < count:
        message = (await anext(stream)).decode()
        found += [line.removeprefix("data: ") for line in message.splitlines() if line.startswith("data: ")]
    return found


def test_events_reach_all_browsers() -> None:
    async def work() -> None:
        hub = Hub()
        streams = [hub.stream(hub.last_id) for _ in range(2)]
        assert [await anext(stream) for stream in streams] == [b"retry: 2000\n\n"] * 2
        hub.publish("alarms", [1])
        expected = f"id: {hub.last_id}\nevent: alarms\ndata: [1]\n\n".encode()
        assert [await anext(stream) for stream in streams] == [expected] * 2
        assert hub.listeners == 2
        hub.close()
        assert [[item async for item in stream] for stream in (*streams, hub.stream(""))] == [[], [], []]
        assert hub.listeners == 0

    run(work())


def test_a_browser_that_connects_again_gets_what_it_missed() -> None:
    async def work() -> None:
        hub = Hub()
        hub.publish("alarms", 1)
        seen = hub.last_id
        hub.publish("alarms", 2)
        hub.publish("alarms", 3)
        assert await events(hub.stream(seen), 2) == ["2", "3"]

    run(work())


def test_a_browser_that_missed_too_much_reads_everything_again() -> None:
    async def work() -> None:
        hub = Hub()
        old = hub.last_id
        for number in range(hubs.KEPT + 1):
            hub.publish("alarms", number)
        for seen in (old, "", "of-another-process", "00000000-1", f"{hub.last_id}0", f"{hub.last_id}²"):
            stream = hub.stream(seen)
            assert await anext(stream) == b"retry: 2000\n\n"
            assert await anext(stream) == f"id: {hub.last_id}\nevent: reset\ndata: {{}}\n\n".encode()

    run(work())


def test_events_for_a_slow_browser_are_bounded_and_others_get_all() -> None:
    async def work() -> None:
        hub = Hub()
        slow, quick = hub.stream(hub.last_id), hub.stream(hub.last_id)
        await anext(slow)
        await anext(quick)
        for number in range(3 * hubs.MOST_WAITING + 1):
            hub.publish("alarms", number)
            assert await events(quick, 1) == [str(number)]
        assert sum(queue.qsize() for queue in hub._waiting) <= hubs.MOST_WAITING
        assert b"event: reset" in await anext(slow)

    run(work())


def test_silence_is_broken_by_a_comment() -> None:
    async def work() -> None:
        hub = Hub(heartbeat=0.01)
        stream = hub.stream(hub.last_id)
        await anext(stream)
        assert await anext(stream) == b": still here\n\n"
        hub.publish("alarms", 1)
        assert await events(stream, 1) == ["1"]

    run(work())


def test_a_browser_that_leaves_is_forgotten() -> None:
    async def work() -> None:
        hub = Hub()
        stream = hub.stream(hub.last_id)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        assert hub.listeners == 0

    run(work())

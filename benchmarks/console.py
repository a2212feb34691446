"""How smoothly the operator's console works in a browser with many alarms and channels.

A task of the page that takes longer than 50 ms is one that a person notices (a long task). They are counted while the
page loads, scrolls, changes between alarms and gets events, also on a processor that is slowed down.
"""

import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from playwright.sync_api import CDPSession, Page, sync_playwright

from container_component_src.alarms.tracker import AlarmState
from tests.console.consoles import SECOND, START, alarm, append, payload, write_payload
from tests.console.served import served

_OBSERVE = """
window.long = [];
new PerformanceObserver((list) => window.long.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({type: "longtask", buffered: true});
"""
_SUBSYSTEMS = ("ventilation", "humidity control", "thermal control", "power", "atmosphere")


@click.command()
@click.option("--alarms", default=1000, show_default=True, help="Alarms.")
@click.option("--channels", default=181, show_default=True, help="Channels of the payload log.")
@click.option("--slower", default="1,4", show_default=True, help="How much slower the processor of the browser is.")
def main(alarms: int, channels: int, slower: str) -> None:
    """Print long tasks of the page, and the processor time of its main thread, for each thing that an operator does."""
    names = [f"ECLSS_CHANNEL_{number:03d}" for number in range(channels)]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        _write(folder, alarms, names)
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        print("slower | action | long tasks | longest ms | main thread ms | elements")  # noqa: T201 - its output
        for factor in (float(text) for text in slower.split(",")):
            with served(folder, payload_log=str(folder / "log")) as url:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                _measure(page, url, factor, folder, names)
                page.close()
        browser.close()


def _write(folder: Path, alarms: int, names: list[str]) -> None:
    five = [names[place : place + 5] for place in range(len(names) - 5)]
    events = [
        alarm(number, subsystem=_SUBSYSTEMS[number % len(_SUBSYSTEMS)], channels=five[number % len(five)])
        for number in range(alarms)
    ]
    append(folder / "alarms.ndjson", *events)
    newest = START + (alarms - 1) * 3600 * SECOND
    write_payload(folder / "log", payload(newest - 900 * SECOND, 2400, channels=names), channels=names)


def _measure(page: Page, url: str, factor: float, folder: Path, names: list[str]) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": factor})
    page.add_init_script(_OBSERVE)
    with _counted(page, session, factor, "load"):
        page.goto(url)
        page.wait_for_selector(".alarm")
        page.wait_for_timeout(1000)
    with _counted(page, session, factor, "scroll the list"):
        page.hover("#alarms")
        for _ in range(60):
            page.mouse.wheel(0, 400)
            page.wait_for_timeout(16)
    page.locator("#alarms").press("Home")
    with _counted(page, session, factor, "select an alarm with plots"):
        page.wait_for_selector("#plots svg")
        page.wait_for_timeout(500)
    with _counted(page, session, factor, "select 40 alarms by key"):
        for _ in range(40):
            page.keyboard.press("j")
    with _counted(page, session, factor, "zoom the timeline 30 times"):
        for key in itertools.islice(itertools.cycle("++++----"), 30):
            page.locator("#timeline").press(key)
    with _counted(page, session, factor, "search"):
        page.locator("#search").press_sequentially("channel_01", delay=30)
        page.locator("#search").fill("")
    with _counted(page, session, factor, "100 events in 5 s"):
        for second in range(100):
            append(folder / "alarms.ndjson", alarm(second, AlarmState.UPDATED, 60 + second, channels=names[:5]))
            page.wait_for_timeout(50)


@contextmanager
def _counted(page: Page, session: CDPSession, factor: float, action: str) -> Iterator[None]:
    def metrics() -> dict[str, float]:
        return {item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]}

    before = metrics()
    page.evaluate("window.long = []") if page.url != "about:blank" else None
    yield
    page.wait_for_timeout(100)
    found, after = page.evaluate("window.long"), metrics()
    busy = 1000 * (after["TaskDuration"] - before["TaskDuration"])
    longest = max(found, default=0)
    elements = page.evaluate("document.querySelectorAll('*').length")
    print(f"{factor:g} | {action} | {len(found)} | {longest:.0f} | {busy:.0f} | {elements}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())

"""The page in a real browser."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from container_component_src.alarms.tracker import AlarmState
from container_component_src.steps.calibration import Smoothing
from container_component_src.telemetry.verdicts import read_feedback
from tests.console.consoles import CHANNELS, START, TOKEN, alarm, append, drift, payload, write_payload
from tests.console.served import served
from tests.programs import program
from tests.serving.bundles import make_bundle
from tests.serving.reference_alarms import RULE, telemetry
from tests.stream.streams import last_events, lines

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
HOSTILE = '<img src=x onerror="document.title=`hacked`"><script>document.title="hacked"</script>'
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which no script fails."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found = context.new_page()
    problems: list[str] = []
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    yield found
    context.close()
    assert problems == []


def files(folder: Path) -> dict[str, Any]:
    """Write a payload log and a check for drift, and return the options that name them."""
    write_payload(folder / "log", payload(START, 600, dead=CHANNELS[1:]))
    drift(CHANNELS[0]).write(str(folder / "drift.json"))
    return {"payload_log": str(folder / "log"), "drift": str(folder / "drift.json")}


def test_alarms_appear_and_change_while_the_events_are_written(page: Page, tmp_path: Path) -> None:
    events = tmp_path / "alarms.ndjson"
    with served(tmp_path) as url:
        page.goto(url)
        expect(page.locator("#none")).to_have_text("No alarms yet. They appear here when they are raised.")
        expect(page.locator("#connection")).to_have_text("Live")
        append(events, alarm(0, AlarmState.OPENED, 120))
        row = page.locator(".alarm")
        expect(row).to_contain_text("2023-11-15 12:00:00")
        expect(row).to_contain_text("2 min")
        expect(row).to_contain_text("FAN_SPEED60 %, +1")
        expect(row.locator(".badge")).to_have_text("open")
        expect(page.locator("#announcement")).to_have_text("New alarm: ventilation, started 12:00:00")
        expect(page.locator("#count-open")).to_have_text("1")
        append(events, alarm(0, AlarmState.CLOSED, 600), alarm(1))
        expect(page.locator(".alarm")).to_have_count(2)
        expect(page.locator(".alarm").nth(1)).to_contain_text("10 min")
        expect(page.locator("#count-open")).to_have_text("0")
        order = page.locator(".alarm .when").all_inner_texts()
        assert sorted(order) == ["2023-11-15 12:00:00", "2023-11-15 13:00:00"]


@contextmanager
def program_running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a folder; it does not outlive the block."""
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def test_alarms_of_a_stream_appear_while_it_runs(page: Page, tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle", smoothing=Smoothing.EXPONENTIAL, smoothing_window=7, window_steps=3, rule=RULE)
    rows, file = lines(*telemetry(5)), tmp_path / "rows.ndjson"
    file.write_bytes(b"".join(rows[:120]))
    log: dict[str, Any] = {"payload_log": str(tmp_path / "log")}
    given = [
        *("score_stream", "--input", "rows.ndjson", "--follow", "--bundle", "bundle"),
        *("--alarms", "alarms.ndjson", "--state-file", "state.json", "--payload-log", "log"),
    ]
    main = str(PROJECT / "container_component_src" / "main.py")
    with served(tmp_path, **log) as url, program_running([sys.executable, main, *given], tmp_path) as stream:
        page.goto(url)
        expect(page.locator(".alarm").first).to_be_visible(timeout=60_000)
        begun = int(page.locator("#count").inner_text())
        with file.open("ab") as appended:
            appended.write(b"".join(rows[120:]))
        expect(page.locator("#count")).not_to_have_text(str(begun), timeout=60_000)
        stream.terminate()  # the rows that wait are scored and logged
        assert stream.wait(60) == 0
        expect(page.locator("#count")).to_have_text(str(len(last_events(tmp_path / "alarms.ndjson"))))
        page.reload()
        page.locator(".alarm").last.click()
        expect(page.locator("#plots .line.expected").first).to_be_visible()


def test_an_alarm_shows_measured_beside_expected_values_drift_and_dead_channels(page: Page, tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    with served(tmp_path, **files(tmp_path)) as url:
        page.goto(url)
        page.locator(".alarm").click()
        expect(page.locator("#plots figure")).to_have_count(3)
        expect(page.locator("#plots .line.measured")).to_have_count(3)
        expect(page.locator("#plots .line.expected")).to_have_count(2)
        expect(page.locator("#plots .line.limit")).to_have_count(1)
        expect(page.locator("#plots-note")).to_contain_text("600 logged rows")
        expect(page.locator("#facts")).to_contain_text("2023-11-15 12:00:00")
        expect(page.locator("#channels li").first).to_have_text("FAN_SPEED60 %")
        expect(page.locator("#drift tbody tr")).to_contain_text("FAN_SPEED0.5distribution2023-11-15 12:00:00")
        expect(page.locator("#dead tbody tr")).to_contain_text("FAN_CURRENTnone seen")
        page.locator("#plots svg").nth(1).hover()
        expect(page.locator("#plots figcaption span").nth(1)).to_contain_text("measured")


def test_a_verdict_survives_a_restart_and_reaches_another_operator(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    with served(tmp_path) as url:
        page.goto(url)
        other = browser.new_page()
        other.goto(url)
        page.locator(".alarm").click()
        page.locator("[data-verdict=false]").click()
        expect(page.locator("#given")).to_have_text("Enter your name first; it is remembered.")
        expect(page.locator("#by")).to_be_focused()
        page.locator("#by").fill("Ana")
        page.locator("#comment").fill("docking")
        page.locator("[data-verdict=false]").click()
        expect(page.locator("#given")).to_contain_text("False alarm by Ana")
        expect(other.locator(".alarm .badge")).to_have_text("False")
        other.close()
    with served(tmp_path, port=int(url.rpartition(":")[2])) as again:
        assert again == url
        expect(page.locator("#connection")).to_have_text("Live", timeout=20_000)  # it connects by itself
        page.reload()
        expect(page.locator(".alarm .badge")).to_have_text("False")
        expect(page.locator("#given")).to_contain_text("docking")
        expect(page.locator("#by")).to_have_value("Ana")
        page.locator("[data-verdict=rare_nominal]").click()
        expect(page.locator("#given")).to_contain_text("Rare but nominal by Ana")
    (found,) = read_feedback(str(tmp_path / "feedback.csv"))
    assert (found.verdict.value, found.by, found.comment) == ("rare_nominal", "Ana", "docking")


def test_all_works_by_the_keyboard_alone(page: Page, tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", *(alarm(number) for number in range(3)))
    with served(tmp_path) as url:
        page.goto(url)
        expect(page.locator(".alarm")).to_have_count(3)
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(20):
            if page.evaluate("document.activeElement.id") == "alarms":
                break
            page.keyboard.press("Tab")
        expect(page.locator("#alarms")).to_be_focused()
        for key, chosen in (("ArrowDown", 2), ("ArrowDown", 1), ("End", 0), ("Home", 2), ("j", 1), ("k", 2)):
            page.keyboard.press(key)
            expect(page.locator("[aria-selected=true]")).to_have_attribute("data-id", alarm(chosen).id)
            active = page.locator("#alarms").get_attribute("aria-activedescendant")
            assert active == f"alarm-{alarm(chosen).id}"
        page.keyboard.press("f")  # goes to the name, which is missing
        page.keyboard.type("Ana")
        page.keyboard.press("Escape")
        page.keyboard.press("f")
        expect(page.locator("#given")).to_contain_text("False alarm by Ana")
        page.keyboard.press("c")
        page.keyboard.type("two")
        page.keyboard.press("Enter")
        expect(page.locator("#given")).to_contain_text("two")
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.type("two")
        expect(page.locator(".alarm")).to_have_count(1)
        expect(page.locator("#count")).to_have_text("1 of 3")
        page.locator("#shortcuts").press("Space")
        page.keyboard.press("t")
        expect(page.locator("#given")).to_contain_text("False alarm by Ana")
    assert [item.comment for item in read_feedback(str(tmp_path / "feedback.csv"))] == ["two"]


def test_filters(page: Page, tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm(0), alarm(1, AlarmState.OPENED), alarm(2, subsystem="power"))
    with served(tmp_path) as url:
        page.goto(url)
        expect(page.locator(".alarm")).to_have_count(3)
        page.locator("[data-which=open]").click()
        expect(page.locator(".alarm")).to_have_attribute("data-id", alarm(1).id)
        page.locator("[data-which=all]").click()
        page.locator("#subsystem").select_option("power")
        expect(page.locator(".alarm")).to_have_attribute("data-id", alarm(2).id)
        page.locator("#search").fill("no such channel")
        expect(page.locator("#none")).to_have_text("No alarm fits the filter.")


def test_texts_are_never_html(page: Page, tmp_path: Path) -> None:
    hostile = alarm(channels=[HOSTILE, "b"], subsystem=HOSTILE)
    append(tmp_path / "alarms.ndjson", hostile)
    write_payload(tmp_path / "log", payload(START, channels=[HOSTILE, "b"]), channels=[HOSTILE, "b"])
    with served(tmp_path, title=HOSTILE, payload_log=str(tmp_path / "log")) as url:
        page.goto(url)
        page.locator(".alarm").click()
        page.locator("#by").fill(HOSTILE)
        page.locator("#comment").fill(HOSTILE)
        page.locator("[data-verdict=true]").click()
        expect(page.locator("#given")).to_contain_text(f"True alarm by {HOSTILE}")
        expect(page.locator("#given")).to_contain_text(f"— {HOSTILE}")
        expect(page.locator("#channels li").first).to_contain_text(HOSTILE)
        expect(page.locator("#plots figcaption b").nth(1)).to_have_text(HOSTILE)
        expect(page.locator("h1")).to_have_text(HOSTILE)
        expect(page.locator("#subsystem option").nth(1)).to_have_text(HOSTILE)
        assert page.locator("img").count() == 0
        assert page.title().startswith("<img")


def test_a_phone_needs_no_horizontal_scrolling(page: Page, tmp_path: Path) -> None:
    long = "ECLSS_" + "VERY_LONG_CHANNEL_NAME_" * 5
    append(tmp_path / "alarms.ndjson", alarm(0, channels=[long, "b"], subsystem="a subsystem with a long name " * 3))
    write_payload(tmp_path / "log", payload(START, channels=[long, "b"]), channels=[long, "b"])
    page.set_viewport_size(PHONE)
    with served(tmp_path, title="T" * 80, **{**files(tmp_path), "payload_log": str(tmp_path / "log")}) as url:
        page.goto(url)
        page.locator(".alarm").click()
        expect(page.locator("#plots figure")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        too_wide = (
            "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)"
        )
        assert page.evaluate(f"{too_wide}.filter((e) => !e.closest('.unseen, .scroll')).map((e) => e.outerHTML)") == []


def test_the_timeline_zooms_and_selects(page: Page, tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", *(alarm(number) for number in range(0, 100, 10)))
    with served(tmp_path) as url:
        page.goto(url)
        timeline = page.locator("#timeline")
        whole = "10 alarms over time, from 2023-11-15 11:05:54 to 2023-11-19 07:04:06 UTC"
        expect(timeline).to_have_attribute("aria-label", whole)
        timeline.press("+")
        expect(timeline).not_to_have_attribute("aria-label", whole)
        timeline.press("0")
        expect(page.locator("#whole")).to_be_disabled()
        box = timeline.bounding_box()
        assert box
        page.mouse.move(box["x"] + 5, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] + 20)
        page.mouse.up()
        expect(page.locator("#whole")).to_be_enabled()
        page.locator("#whole").click()
        expect(page.locator("#whole")).to_be_disabled()  # it has been drawn
        page.mouse.click(box["x"] + box["width"] * 0.0107, box["y"] + 20)
        expect(page.locator("[aria-selected=true]")).to_have_attribute("data-id", alarm(0).id)


def test_operators_sign_in(page: Page, tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    with served(tmp_path, token=TOKEN) as url:
        page.goto(url)
        assert page.url == f"{url}/login"
        page.locator("#token").fill("not-the-token")
        page.locator("button").click()
        expect(page.locator("[role=alert]")).to_have_text("The token is wrong.")
        page.locator("#token").fill(TOKEN)
        page.locator("#token").press("Enter")
        expect(page.locator(".alarm")).to_have_count(1)
        page.get_by_role("button", name="Sign out").click()
        assert page.url == f"{url}/login"
        page.goto(url)
        assert page.url == f"{url}/login"


def test_every_control_has_a_name(page: Page, tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    with served(tmp_path, **files(tmp_path)) as url:
        page.goto(url)
        page.locator(".alarm").click()
        expect(page.locator("#plots figure")).to_have_count(3)
        tree = page.locator("body").aria_snapshot()
        for name in ("True alarm t", "False alarm f", "Rare but nominal n", "Zoom in", "Save comment"):
            assert f'button "{name}"' in tree, tree
        for name in ("Your name", "Comment"):
            assert f'textbox "{name}"' in tree, tree
        assert 'listbox "Alarms"' in tree
        assert 'img "FAN_SPEED around the alarm, expected and measured, from ' in tree

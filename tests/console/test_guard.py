"""What keeps others from the console: host, origin, size, session and token."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import httpx
import pytest

from container_component_src.console import guard
from container_component_src.console.access import FAILURES
from container_component_src.console.guard import COOKIE, MOST_BODY_BYTES
from tests.console.consoles import TOKEN, alarm, append, console

PROTECTED = ("/api/state", "/api/events", f"/api/alarms/{alarm().id}/series")


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


@pytest.mark.parametrize(
    "host", ["evil.test", "localhost.evil.test", "10.0.0.7:8090", "", "[::1", "127.0.0.1@evil.test:80"]
)
def test_on_loopback_a_host_name_of_others_is_refused(host: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path) as running:
            for path in ("/", "/healthz", "/static/console.js", *PROTECTED):
                assert (await running.client.get(path, headers={"host": host})).status_code == 421

    run(work())


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "127.0.0.1:8090", "[::1]:8090"])
def test_on_loopback_its_own_names_are_served(host: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path) as running:
            assert (await running.client.get("/", headers={"host": host})).status_code == 200

    run(work())


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test"},
        {"origin": "http://localhost:1234"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:8090"},
    ],
)
def test_a_verdict_from_another_site_is_refused(headers: dict[str, str], tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())

    async def work() -> None:
        async with console(tmp_path) as running:
            assert (await running.give(alarm().id, headers)).status_code == 403
            assert (await running.client.post("/login", headers=headers)).status_code == 403
            own = {"origin": "http://localhost:8090", "sec-fetch-site": "same-origin"}
            assert (await running.give(alarm().id, own)).status_code == 200

    run(work())


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_verdict_must_be_json(kind: str, tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())

    async def work() -> None:
        async with console(tmp_path) as running:
            body = '{"verdict": "true", "by": "Ana"}'
            path = f"/api/alarms/{alarm().id}/verdict"
            answer = await running.client.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code in (415, 422)

    run(work())
    assert not (tmp_path / "feedback.csv").exists()


def test_a_large_body_is_refused_whether_it_tells_its_size_or_not(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * (MOST_BODY_BYTES // 10)

    async def work() -> None:
        async with console(tmp_path) as running:
            path, headers = f"/api/alarms/{alarm().id}/verdict", {"content-type": "application/json"}
            for body in (b" " * (MOST_BODY_BYTES + 1), pieces()):
                assert (await running.client.post(path, content=body, headers=headers)).status_code == 413
            wrong = {**headers, "content-length": "x"}
            assert (await running.client.post(path, content=b"{}", headers=wrong)).status_code == 413

    run(work())


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    monkeypatch.setattr(guard, "READ_SECONDS", 0.01)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    async def work() -> None:
        async with console(tmp_path) as running:
            path, headers = f"/api/alarms/{alarm().id}/verdict", {"content-type": "application/json"}
            assert (await running.client.post(path, content=never(), headers=headers)).status_code == 408

    run(work())


def test_without_a_session_nothing_is_told(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())

    async def work() -> None:
        async with console(tmp_path, TOKEN) as running:
            for path in PROTECTED:
                answer = await running.client.get(path)
                assert (answer.status_code, answer.json()) == (401, {"problem": "sign in"})
            assert (await running.give(alarm().id)).status_code == 401
            page = await running.client.get("/")
            assert (page.status_code, page.headers["location"]) == (303, "login")
            assert "alarm" not in page.text

    run(work())


async def signed_in(client: httpx.AsyncClient, token: str = TOKEN, **headers: str) -> httpx.Response:
    return await client.post("/login", data={"token": token}, headers=headers)


def test_operators_sign_in_and_out(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())

    async def work() -> None:
        async with console(tmp_path, TOKEN) as running:
            answer = await signed_in(running.client)
            assert (answer.status_code, answer.headers["location"]) == (303, "./")
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=strict" in cookie
            assert "Secure" not in cookie
            assert TOKEN not in cookie
            assert (await running.client.get("/api/state")).status_code == 200
            assert (await running.give(alarm().id)).status_code == 200
            assert "Sign out" in (await running.client.get("/")).text
            await running.client.post("/logout")
            assert (await running.client.get("/api/state")).status_code == 401

    run(work())


def test_behind_https_the_cookie_is_sent_over_https_only(tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path, TOKEN) as running:
            answer = await signed_in(running.client, **{"x-forwarded-proto": "https"})
            assert "Secure" in answer.headers["set-cookie"]

    run(work())


def test_a_cookie_that_is_no_session_is_none(tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path, TOKEN) as running:
            for cookie in (f"{COOKIE}=1.2.3", f"{COOKIE}=", 'a="', "\xff=;;", f"{COOKIE}=9999999999.00.{'0' * 64}"):
                headers = [(b"cookie", cookie.encode("latin-1"))]
                assert (await running.client.get("/api/state", headers=headers)).status_code == 401

    run(work())


def test_programs_may_send_the_token_itself(tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path, TOKEN) as running:
            for given, status in ((f"Bearer {TOKEN}", 200), ("Bearer wrong", 401), (f"Basic {TOKEN}", 401)):
                answer = await running.client.get("/api/state", headers={"authorization": given})
                assert answer.status_code == status

    run(work())


def test_wrong_tokens_are_limited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with console(tmp_path, TOKEN) as running:
            for _ in range(FAILURES):
                answer = await signed_in(running.client, "not-the-token")
                assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
                assert "The token is wrong." in answer.text
            late = await signed_in(running.client)
            assert late.status_code == 429
            assert int(late.headers["retry-after"]) > 0
            bearer = await running.client.get("/api/state", headers={"authorization": f"Bearer {TOKEN}"})
            assert bearer.status_code == 429

    run(work())
    assert "a wrong token from 127.0.0.1" in caplog.text
    assert "not-the-token" not in caplog.text


def test_every_answer_has_the_headers_of_security(tmp_path: Path) -> None:
    async def work() -> None:
        async with console(tmp_path, TOKEN) as running:
            paths = ("/", "/login", "/healthz", "/static/console.js", "/static/none", "/api/state", "/nothing")
            for path in paths:
                headers = (await running.client.get(path)).headers
                policy = headers["content-security-policy"]
                assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["cache-control"] == ("no-cache" if path == "/static/console.js" else "no-store")
            refused = await running.client.get("/", headers={"host": "evil.test"})
            assert "content-security-policy" in refused.headers

    run(work())


@pytest.mark.parametrize("name", ["page.html.jinja", "login.html.jinja"])
def test_pages_have_no_inline_script_or_style(name: str) -> None:
    from container_component_src.console import pages

    source, _, _ = pages._environment().loader.get_source(pages._environment(), name)  # type: ignore[union-attr]
    for forbidden in ("<style", " style=", "onclick", "onload", "javascript:", "| safe", "//"):
        assert forbidden not in source
    assert source.count("<script") == source.count('<script type="module" src="static/')


def test_scripts_make_no_html_of_texts() -> None:
    from container_component_src.console.pages import STATIC

    scripts = b"".join(content for name, (content, _) in STATIC.items() if name.endswith(".js"))
    for forbidden in (b"innerHTML", b"outerHTML", b"insertAdjacentHTML", b"document.write", b"eval(", b"Function("):
        assert forbidden not in scripts

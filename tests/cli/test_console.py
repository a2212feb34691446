import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from container_component_src.backends.local.processes import free_ports
from tests.console.consoles import TOKEN, alarm, append
from tests.helpers import Invoke, assert_refused

PROJECT = Path(__file__).resolve().parents[2]
MAIN = [sys.executable, str(PROJECT / "container_component_src" / "main.py"), "console"]


def test_where_others_reach_it_a_token_is_needed(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONSOLE_TOKEN", raising=False)
    given = ("console", "--alarms", tmp_path / "a", "--feedback", tmp_path / "f.csv", "--host", "0.0.0.0")
    assert_refused(invoke(*given), "--host 0.0.0.0", "there is no token", "CONSOLE_TOKEN")
    monkeypatch.setenv("CONSOLE_TOKEN", "short")
    assert_refused(invoke(*given), "CONSOLE_TOKEN", "fewer than 16 characters")


def test_a_token_is_no_argument(invoke: Invoke) -> None:
    assert_refused(invoke("console", "--alarms", "a", "--token", TOKEN), "--token")


def test_a_port_that_is_taken_is_named(invoke: Invoke, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = ("--alarms", tmp_path / "a", "--feedback", tmp_path / "f.csv", "--port", port)
        assert_refused(invoke("console", *given), f"--port {port}", "choose another --port")


@pytest.mark.slow
def test_the_console_is_served_until_it_is_told_to_stop(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    (port,) = free_ports(1)
    given = ["--alarms", "alarms.ndjson", "--host", "0.0.0.0", "--port", str(port)]
    environment = {**os.environ, "CONSOLE_TOKEN": TOKEN}
    url, signed_in = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {TOKEN}"}
    with (
        subprocess.Popen([*MAIN, *given], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process,
        httpx.Client(trust_env=False, timeout=60) as client,
    ):
        while True:
            assert process.poll() is None
            try:
                assert client.get(f"{url}/healthz").status_code == 200
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        assert client.get(f"{url}/api/state").status_code == 401
        state = client.get(f"{url}/api/state", headers=signed_in).json()
        assert [item["id"] for item in state["alarms"]] == [alarm().id]
        answer = client.post(
            f"{url}/api/alarms/{alarm().id}/verdict", json={"verdict": "true", "by": "Ana"}, headers=signed_in
        )
        assert answer.status_code == 200
        with client.stream("GET", f"{url}/api/events", headers=signed_in) as events:
            lines = events.iter_lines()
            assert next(lines) == "retry: 2000"  # at once, although nothing has happened
            process.send_signal(signal.SIGTERM)
            assert "event: reset" in [*lines]  # it ends
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert TOKEN not in output
    assert (tmp_path / "feedback.csv").read_text().startswith("alarm_id,")

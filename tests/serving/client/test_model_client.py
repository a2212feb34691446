"""Connections to servers that are away, and to gateways that want a token."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.serving.client import model_client
from tests.helpers import Invoke, assert_refused

MODEL = "eclss"


def test_an_unreachable_server_is_named(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_client, "FIRST_PAUSE", 0.0)
    (tmp_path / "telemetry.csv").write_text("fan_speed\n1\n")
    url = f"http://{LOOPBACK}:{free_ports(1)[0]}"
    outcome = invoke("query_model", "--url", url, "--input", tmp_path / "telemetry.csv")
    assert_refused(outcome, url, "ConnectError", code=1)


class Gateway(BaseHTTPRequestHandler):
    """Lets requests with the right headers through to nothing."""

    seen: list[dict[str, str]] = []  # noqa: RUF012 - one per test run

    def do_GET(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        allowed = self.headers.get("authorization") == "Bearer secret"
        body = b'{"error": "here"}' if allowed else b"RBAC: access denied"
        self.send_response(404 if allowed else 403)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize(("token", "said"), [("secret", "404 here"), (" secret\r\n", "404 here"), ("", "valid token")])
def test_a_gateway_gets_host_and_token(
    token: str, said: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QUERY_MODEL_TOKEN", token)
    (tmp_path / "telemetry.csv").write_text("fan_speed\n1\n")
    with ThreadingHTTPServer((LOOPBACK, 0), Gateway) as gateway:
        Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://{LOOPBACK}:{gateway.server_port}/serving/space/{MODEL}"
        outcome = invoke(
            "query_model", "--url", url, "--host", "eclss.space.example.com", "--input", tmp_path / "telemetry.csv"
        )
        gateway.shutdown()
    assert_refused(outcome, said, url)
    assert Gateway.seen[-1]["host"] == "eclss.space.example.com"


def test_a_token_or_password_is_not_repeated(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_client, "FIRST_PAUSE", 0.0)
    (tmp_path / "telemetry.csv").write_text("fan_speed\n1\n")
    url = f"{LOOPBACK}:{free_ports(1)[0]}"

    def query(address: str) -> Any:
        return invoke("query_model", "--url", address, "--input", tmp_path / "telemetry.csv")

    outcomes = [query(f"http://user:hunter2@{url}"), query("http://user:hunter2/@host:80")]
    assert_refused(outcomes[0], f"http://{url}", "ConnectError", code=1)
    assert_refused(outcomes[1], "--url: not the address of a server")
    monkeypatch.setenv("QUERY_MODEL_TOKEN", "hunter2\nhunter2")
    outcomes.append(query(f"http://{url}"))
    assert_refused(outcomes[2], "QUERY_MODEL_TOKEN: contains whitespace")
    assert not [outcome for outcome in outcomes if "hunter2" in f"{outcome}"]

"""`query_model` against a server."""

import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.model.bundle import Bundle
from container_component_src.serving.client import model_client
from container_component_src.steps.calibration import Smoothing
from tests.helpers import Invoke, assert_nothing_written, assert_refused
from tests.serving.bundles import CHANNELS, SCALER, make_bundle

MODEL = "eclss"
TIME = "normalizedTime"
ROWS, WINDOW, SMOOTHING = 230, 7, Smoothing.EXPONENTIAL
DEAD_AFTER = 40.0  # seconds


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bundle, str]]:
    """A bundle and the URL of its server."""
    folder = tmp_path_factory.mktemp("bundle")
    bundle = make_bundle(folder, smoothing=SMOOTHING, smoothing_window=WINDOW, window_steps=3)
    (port,) = free_ports(1)
    command = (
        "serve_predictor", "--combined", "--model-dir", str(folder), "--model-name", MODEL,
        "--dead-after", str(DEAD_AFTER),
    )  # fmt: skip
    with running({port: command}) as servers, httpx.Client(trust_env=False) as http:
        wait_until_ready(servers, MODEL, 120, http)
        yield bundle, f"http://{LOOPBACK}:{port}"


@pytest.fixture
def frame() -> pd.DataFrame:
    """Telemetry with a gap, its channels in another order, and columns that the model does not know."""
    scaled = np.random.default_rng(3).standard_normal((ROWS, len(CHANNELS))).astype(np.float32)
    values = SCALER.inverse_transform(scaled).astype(np.float64)
    seconds = np.arange(ROWS) + (np.arange(ROWS) > 100) * 60
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    columns = {name: values[:, column] for column, name in reversed(list(enumerate(CHANNELS)))}
    return pd.DataFrame({"mode": "ok", **columns, TIME: times})


def expected(bundle: Bundle, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Scores and smoothed scores."""
    values = frame[list(CHANNELS)].to_numpy(np.float32)
    times = np.asarray(pd.DatetimeIndex(frame[TIME]).as_unit("ns").astype(np.int64))
    scores = bundle.scorer.contributions(SCALER.transform(values), times).sum(axis=1)
    return scores, bundle.info.smoother().push(times, scores)


def close(found: Any, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "source_format", ["parquet", "parquet with the time as index", "csv", "csv of Excel", "json", "json lines"]
)
def test_batches_get_the_scores_of_the_whole_file(
    served: tuple[Bundle, str], frame: pd.DataFrame, source_format: str, invoke: Invoke, tmp_path: Path
) -> None:
    source, target = tmp_path / "telemetry", tmp_path / "answers.parquet"
    match source_format:
        case "parquet":
            frame.to_parquet(source, index=False)
        case "parquet with the time as index":
            frame.set_index(TIME).to_parquet(source)
        case "csv":
            frame.to_csv(source, index=False)
        case "csv of Excel":
            frame.to_csv(source, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")
        case "json":
            frame.to_json(source, orient="records", date_format="iso", date_unit="ns")
        case _:
            frame.to_json(source, orient="records", date_format="iso", date_unit="ns", lines=True)
    bundle, url = served
    outcome = invoke(
        "query_model", "--url", url, "--model-name", MODEL, "--input", source, "--output", target, "--batch-rows", 50
    )
    assert outcome.code == 0, outcome
    assert f"{ROWS} rows" in outcome.stdout
    assert bundle.info.version[:12] in outcome.stdout
    answers = pd.read_parquet(target)
    scores, smoothed = expected(bundle, frame)
    close(answers["score"], scores)
    close(answers["smoothed_score"], smoothed)
    assert (answers[TIME] == frame[TIME]).all()
    assert answers["alarm"].tolist() == (answers["smoothed_score"] > answers["threshold"]).tolist()
    assert {len(names) for names in answers["top_channel"]} == {len(CHANNELS)}


def test_stdin_is_scored_and_printed(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.dumps({"instances": frame[list(CHANNELS)].head(3).to_dict("records")}).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    outcome = invoke("query_model", "--url", served[1], "--model-name", MODEL)
    assert outcome.code == 0, outcome
    rows = SCALER.transform(frame.head(3)[list(CHANNELS)].to_numpy(np.float32))  # without timestamps each is alone
    scores = served[0].scorer.contributions(rows).sum(axis=1)
    for score in scores:
        assert f"{score:.4g}" in outcome.stdout
    assert "smoothed_score" not in outcome.stdout
    alarms = int((scores > 4.0).sum())
    assert (
        f"3 rows, {alarms} rows above the alarm threshold, no alarms without timestamps, model version "
        f"{served[0].info.version[:12]}, threshold 4 nats"
    ) in outcome.stdout


def test_an_error_in_stdin_names_stdin(
    served: tuple[Bundle, str], invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{")))
    assert_refused(invoke("query_model", "--url", served[1], "--model-name", MODEL), "stdin: not readable as json")


def test_rows_with_missing_values_are_refused_or_left_out(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    frame.loc[120, "fan_speed"] = np.nan
    frame.to_csv(tmp_path / "telemetry.csv", index=False)
    target = tmp_path / "answers.parquet"
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry.csv",
               "--output", target, "--batch-rows", 50)  # fmt: skip
    assert_refused(invoke(*command), "row 120", "fan_speed")
    assert_nothing_written(target)
    outcome = invoke(*command, "--skip-missing")
    assert outcome.code == 0
    assert f"{ROWS - 1} rows, 1 rows not scored because a value is missing (fan_speed: 1 rows), " in outcome.stdout
    close(pd.read_parquet(target)["smoothed_score"], expected(served[0], frame.drop(index=120))[1])


def test_columns_that_are_no_channels_of_the_model_are_ignored(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    frame.assign(sample_counter=range(ROWS)).to_parquet(tmp_path / "telemetry.parquet")
    target = tmp_path / "answers.parquet"
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry.parquet")
    assert invoke(*command, "--output", target).code == 0
    close(pd.read_parquet(target)["smoothed_score"], expected(served[0], frame)[1])


def test_a_channel_without_any_value_is_an_error(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    frame.assign(fan_speed=np.nan).to_csv(tmp_path / "telemetry.csv", index=False)
    target = tmp_path / "answers.parquet"
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry.csv")
    outcome = invoke(*command, "--skip-missing", "--output", target)
    assert_refused(outcome, f"none of {ROWS} rows was scored", f"fan_speed: {ROWS} rows", "--impute-missing", code=1)
    assert_nothing_written(target)


def test_missing_values_are_imputed_and_dead_channels_named(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    full = frame.assign(fan_speed=frame["fan_speed"].mask(frame.index >= 60, SCALER.centre[2]))
    frame.loc[60:, "fan_speed"] = np.nan
    frame.to_parquet(tmp_path / "telemetry", index=False)
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry")
    assert_refused(invoke(*command), "row 60", "--impute-missing")
    target = tmp_path / "answers.parquet"
    outcome = invoke(*command, "--impute-missing", "--batch-rows", 50, "--output", target)
    assert outcome.code == 0, outcome
    dead = ROWS - 60 - int(DEAD_AFTER) - 1
    assert f"{ROWS} rows, imputed: fan_speed: 170 rows, " in outcome.stdout
    assert f" rows above the alarm threshold or with a dead channel (fan_speed: {dead} rows), " in outcome.stdout
    answers = pd.read_parquet(target)
    close(answers["smoothed_score"], expected(served[0], full)[1])
    assert list(map(list, answers["imputed_channels"])) == [[]] * 60 + [["fan_speed"]] * 170
    assert list(map(list, answers["dead_channels"])) == [[]] * (ROWS - dead) + [["fan_speed"]] * dead
    assert answers["alarm"][-dead:].all()
    assert "dead_channels" in invoke(*command, "--impute-missing").stdout


def test_timestamps_beside_instances_are_sent(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    rows = frame[list(CHANNELS)].to_dict("records")
    body = {"instances": rows, "timestamps": [time.isoformat() for time in frame[TIME]]}
    (tmp_path / "body.json").write_text(json.dumps(body))
    target = tmp_path / "answers.parquet"
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "body.json")
    assert invoke(*command, "--output", target).code == 0
    close(pd.read_parquet(target)["smoothed_score"], expected(served[0], frame)[1])
    (tmp_path / "body.json").write_text(json.dumps({**body, "timestamps": body["timestamps"][1:]}))
    assert_refused(invoke(*command), "one timestamp per row")


def test_rows_without_timestamps_produce_a_warning(
    served: tuple[Bundle, str],
    frame: pd.DataFrame,
    invoke: Invoke,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame.rename(columns={TIME: "datetime"}).to_csv(tmp_path / "telemetry.csv", index=False)
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry.csv")
    assert invoke(*command, "--batch-rows", 50).code == 0
    (warning,) = [message for message in caplog.messages if "--timestamp-col" in message]
    assert f"no column '{TIME}'" in warning


def test_invalid_input_is_refused(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    def query(content: bytes, *options: object) -> Any:
        (tmp_path / "telemetry").write_bytes(content)
        return invoke(
            "query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry", *options
        )

    assert_refused(query(frame.drop(columns="fan_speed").to_csv().encode()), "fan_speed", "missing")
    assert_refused(query(frame.assign(fan_speed="fast").to_csv().encode()), "numbers")
    assert_refused(query(b"{"), "not readable as json")
    assert_refused(query(b"PAR1 and so on"), "damaged")
    assert_refused(query(frame[::-1].to_csv(index=False).encode()), "not after")
    assert_refused(query(b"", "--model-name", "other"), "404", "other")


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
        Thread(target=gateway.serve_forever, daemon=True).start()
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

"""`query_model` against a server."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from container_component_src.alarms.files import read_alarms
from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.model.bundle import Bundle
from container_component_src.steps.calibration import Smoothing
from tests.helpers import Invoke, assert_nothing_written, assert_refused
from tests.serving.bundles import CHANNELS, SCALER, make_bundle
from tests.serving.reference_alarms import RULE, alarms_of, assert_same, telemetry
from tests.serving.reference_alarms import frame as telemetry_frame

MODEL = "eclss"
TIME = "normalizedTime"
ROWS, WINDOW, SMOOTHING = 230, 7, Smoothing.EXPONENTIAL
DEAD_AFTER = 40.0  # seconds


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bundle, str]]:
    """A bundle and the URL of its server."""
    folder = tmp_path_factory.mktemp("bundle")
    bundle = make_bundle(folder, smoothing=SMOOTHING, smoothing_window=WINDOW, window_steps=3, rule=RULE)
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
    above = int((scores > RULE.raise_above).sum())
    assert (
        f"3 rows, {above} rows above the alarm threshold, no alarms without timestamps, model version "
        f"{served[0].info.version[:12]}, threshold {RULE.raise_above:g} nats"
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
    assert re.search(r"imputed\W+dead", invoke(*command, "--impute-missing").stdout)


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


def flat(text: str) -> str:
    """Text without the frames and breaks of tables."""
    return " ".join(re.sub("[^\\x00-\\x7f]", " ", text).split())


@pytest.mark.parametrize("suffix", ["ndjson", "csv"])
def test_alarms_are_printed_as_intervals_and_written(
    served: tuple[Bundle, str], suffix: str, invoke: Invoke, tmp_path: Path
) -> None:
    timestamps, values = telemetry(0)
    telemetry_frame(timestamps, values).to_parquet(tmp_path / "telemetry")
    target = tmp_path / f"alarms.{suffix}"
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry")
    outcome = invoke(*command, "--batch-rows", 37, "--rows", 3, "--alarms", target)
    assert outcome.code == 0, outcome
    wanted = alarms_of(served[0], timestamps, values)
    assert_same(read_alarms(str(target)), wanted)
    printed, (first, *_) = flat(outcome.stdout), wanted
    assert f"{len(values) - 3} more rows not shown (--rows) alarm from" in printed
    start = pd.Timestamp(first.start, tz="UTC").isoformat().replace("+00:00", "Z")
    channels = ", ".join(f"{item.channel} ({item.share:.0%})" for item in first.channels)
    duration = str(pd.Timedelta(first.end - first.start).to_pytimedelta())
    assert flat(f"{start} {duration} {first.peak_score:.4g} {first.subsystem} {channels}") in printed
    assert f"{len(wanted) - 3} more alarms not shown (--rows)" in printed
    assert f", {len(wanted)} alarms, model version " in printed
    assert printed.endswith(f"; written: {target}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--output", "answers.txt"), "--output answers.txt: the name must end in .parquet or .csv or .ndjson"),
        (("--output", "answers"), "--output answers: the name must end in"),
        (("--alarms", "alarms.parquet"), "--alarms alarms.parquet: the name must end in .ndjson or .csv"),
        (("--alarms", "a.csv", "--output", "a.csv"), "--output and --alarms are the same file, a.csv"),
    ],
)
def test_files_of_other_formats_are_refused_before_anything_is_asked(
    options: tuple[str, ...], said: str, invoke: Invoke
) -> None:
    assert_refused(invoke("query_model", "--url", "http://no.such.host", *options), said)


def test_alarms_without_timestamps_are_refused(
    served: tuple[Bundle, str], frame: pd.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    frame.drop(columns=TIME).to_csv(tmp_path / "telemetry.csv", index=False)
    command = ("query_model", "--url", served[1], "--model-name", MODEL, "--input", tmp_path / "telemetry.csv")
    outcome = invoke(*command, "--alarms", tmp_path / "alarms.csv")
    assert_refused(outcome, f"no column '{TIME}'", "no alarms without timestamps")
    assert_nothing_written(tmp_path / "alarms.csv")
    assert "no alarms without timestamps" in invoke(*command).stdout

"""The same rows from each kind of input, and the rows of a period alone."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from container_component_src import storage
from container_component_src.arrays import Float64Array
from container_component_src.drift.detection import Rows
from container_component_src.errors import InputError
from container_component_src.serving.client import period
from container_component_src.serving.client.period import TelemetryOfPeriod, period_of
from container_component_src.steps.drift import CheckDrift
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.payload_log import Payload, write_payloads
from container_component_src.telemetry.scaler import Scaler
from tests.helpers import TIME, nanoseconds
from tests.serving.bundles import CHANNELS, SCALER, bundle_info

INFO = bundle_info().model_copy(update={"version": "v1"})
ROWS = 50
START = nanoseconds("2024-01-01T00:00:00")
HOUR = 3_600 * 10**9
TIMES = START + HOUR * np.arange(ROWS)


def values() -> Float64Array:
    found = 1_000 + np.arange(ROWS * len(CHANNELS), dtype=np.float64).reshape(ROWS, -1)
    found[3, 1] = np.nan
    return found


def table() -> pd.DataFrame:
    frame = pd.DataFrame(values(), columns=list(CHANNELS))
    frame.insert(0, TIME, pd.to_datetime(TIMES, utc=True))
    frame["other"] = 1.0
    return frame


def arguments(source: Path | str, **options: Any) -> CheckDrift:
    return CheckDrift.model_validate({"bundle_path": "bundle", "input": str(source), **options})


def read(source: Path | str, **options: Any) -> Rows:
    pieces = list(TelemetryOfPeriod.of(arguments(source, **options), INFO).pieces())
    assert all(len(piece.timestamps) for piece in pieces)
    scores = [piece.smoothed_scores for piece in pieces if piece.smoothed_scores is not None]
    return Rows(
        np.concatenate([np.empty(0, np.int64), *(piece.timestamps for piece in pieces)]),
        np.concatenate([np.empty((0, 3)), *(piece.values for piece in pieces)]),
        np.concatenate(scores) if scores else None,
    )


def write_rows(folder: Path, rows: Float64Array, scaler: Scaler | None = None) -> None:
    """Write a dataset in two partitions."""
    with DatasetWriter(str(folder), TIME, CHANNELS[: rows.shape[1]]) as writer:
        for part in (slice(0, 15), slice(15, ROWS)):
            writer.write(Frame(TIMES[part], rows[part].astype(np.float32)))
        writer.commit(scaler=scaler)


def write(kind: str, folder: Path) -> Path:
    frame, file = table(), folder / "telemetry"
    match kind:
        case "parquet":
            frame.to_parquet(file)
        case "csv":
            frame.to_csv(file, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        case "json":
            rows = frame.assign(**{TIME: frame[TIME].dt.strftime("%Y-%m-%dT%H:%M:%SZ")}).replace({np.nan: None})
            file.write_text("\n".join(json.dumps(row) for row in rows.to_dict("records")))
        case "folder":
            file.mkdir()
            frame[:20].to_parquet(file / "1.parquet")
            frame[20:].to_parquet(file / "2.parquet")
        case "dataset":
            write_rows(file, values())
    return file


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "folder", "dataset"])
def test_all_kinds_of_input_have_the_same_rows(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(period, "PIECE_ROWS", 7)
    source = write(kind, tmp_path)
    whole = read(source)
    assert whole.timestamps.tolist() == TIMES.tolist()
    assert np.array_equal(whole.values, values(), equal_nan=True)
    part = read(source, since="2024-01-01T10:00:00Z", until="2024-01-02T06:00:00+02:00")
    assert part.timestamps.tolist() == TIMES[10:28].tolist()
    assert np.array_equal(part.values, values()[10:28])
    assert len(read(source, until="2023-12-31").timestamps) == 0


def log(folder: Path) -> Path:
    days = (START, START + 48 * HOUR)
    payloads = [
        Payload(
            received=received,
            request_id="a",
            model_version=version,
            rows=np.arange(2),
            values=values()[first : first + 2],
            expected=np.zeros((2, 3)),
            scores=np.zeros(2),
            smoothed_scores=np.array([first, first + 1.0]),
            timestamps=times,
        )
        for received, first, version, times in (
            (days[0], 0, "v1", TIMES[:2] - 100 * HOUR),
            (days[1], 3, "v1", None),
            (days[1] + HOUR, 5, "v2", None),
        )
    ]
    write_payloads(storage.resolve(str(folder / "log")), CHANNELS, payloads)
    return folder / "log"


def test_a_payload_log_is_read_by_the_time_of_receipt(tmp_path: Path) -> None:
    found = read(log(tmp_path))
    order = np.argsort(found.timestamps, kind="stable")
    assert found.smoothed_scores is not None
    assert found.timestamps[order].tolist() == [
        *(TIMES[:2] - 100 * HOUR), *[START + 48 * HOUR] * 2, *[START + 49 * HOUR] * 2
    ]  # fmt: skip
    assert np.array_equal(found.values[order], values()[[0, 1, 3, 4, 5, 6]], equal_nan=True)
    assert np.array_equal(found.smoothed_scores[order], [0, 1, 3, 4, np.nan, np.nan], equal_nan=True)
    assert len(read(log(tmp_path / "other"), until="2024-01-02").timestamps) == 2
    assert TelemetryOfPeriod.of(arguments(tmp_path / "log"), INFO).logged


def test_a_period_ends_now_if_it_has_a_length_only() -> None:
    now = time.time_ns()
    assert vars(period_of(arguments("-", hours=2), now)) == {"start": now - 2 * HOUR, "end": now}
    found = period_of(arguments("-", hours=0.5, until="2024-01-01"), now)
    assert vars(found) == {"start": START - HOUR // 2, "end": START}


def test_rows_without_timestamps_are_refused(tmp_path: Path) -> None:
    table().drop(columns=TIME).to_parquet(tmp_path / "telemetry")
    with pytest.raises(InputError, match=f"telemetry: there is no column '{TIME}' with the timestamps; name it"):
        read(tmp_path / "telemetry")


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file"):
        read(tmp_path / "nowhere")


def test_a_scaled_dataset_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "telemetry", values(), scaler=SCALER)
    with pytest.raises(InputError, match="telemetry: a scaled dataset; name the dataset before the scaling"):
        read(tmp_path / "telemetry")


def test_a_dataset_that_lacks_a_channel_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "telemetry", values()[:, :2])
    with pytest.raises(InputError, match="telemetry: channel 'fan_speed' of the model is missing"):
        read(tmp_path / "telemetry")

"""Small telemetry, anomaly reports and checks that tests of several modules use."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest

from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.views import MANIFEST_NAME

PROJECT = Path(__file__).resolve().parents[1]
TIME = "normalizedTime"
START = "2023-01-01"  # a year of which day 001 is the first of January
MINUTE = 60_000_000_000  # in nanoseconds
REPORT_HEADERS = ("ID", "SYMBOL", "TITLE", "EVENT GMT (DOY/HH:MM:SS)", "Duration/End GMT")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


Invoke = Callable[..., Outcome]


class Counting(str):
    """Name that counts how often names are compared and hashed."""

    work = 0

    def __eq__(self, other: object) -> bool:
        Counting.work += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Counting.work += 1
        return str.__hash__(self)

    @staticmethod
    def in_json(monkeypatch: pytest.MonkeyPatch) -> None:
        """Let `json.loads` hand names of this type to its hook."""
        loads = json.loads

        def counted(text: bytes, object_pairs_hook: Callable[[list[tuple[str, object]]], object]) -> object:
            return loads(
                text,
                object_pairs_hook=lambda pairs: object_pairs_hook([(Counting(name), item) for name, item in pairs]),
            )

        monkeypatch.setattr(json, "loads", counted)

    @staticmethod
    @contextmanager
    def few(most: int) -> Iterator[None]:
        """Check that the block compares and hashes at most this often."""
        Counting.work = 0
        yield
        assert Counting.work <= most


class RunCommand(Protocol):
    """Runs `main.py` as a process."""

    def __call__(self, *arguments: object, before_start: Callable[[], None] | None = None) -> Outcome: ...


def found_by(code: str) -> Any:
    """Run code in a process of its own, and return the value that it assigns to `found`.

    The process does not search for garbage: with PyTorch, that takes a quarter of the time.
    """
    code = f"import atexit, gc\ngc.disable()\natexit.register(gc.freeze)\n{code}\nimport json\nprint(json.dumps(found))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def nanoseconds(time: str) -> int:
    """ISO time in UTC as nanoseconds since 1970."""
    return int(pd.Timestamp(time, tz="UTC").value)


def telemetry(rows: int = 600, start: str = START, seed: int = 0, **columns: object) -> pd.DataFrame:
    """Raw telemetry, a row a minute: two float channels, two columns of text, and those given."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            TIME: pd.date_range(start, periods=rows, freq="min", tz="UTC"),
            "cabin_pressure": rng.normal(101.3, 0.2, rows),
            "fan_speed": rng.normal(4000.0, 25.0, rows).astype(np.float32),
            "mode": (np.arange(rows) % 3).astype(str),
            "status": "ok",
            **columns,
        }
    )


def write_archive(path: Path, frame: pd.DataFrame | None = None, row_group_size: int = 100) -> Path:
    """Write an archive of the telemetry given, by default that of `telemetry()`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = telemetry() if frame is None else frame
    frame.to_parquet(path, index=False, row_group_size=row_group_size)
    return path


def report_time(minutes: float) -> str:
    """A time so many minutes after `START`, as reports write it."""
    return (pd.Timestamp(START) + pd.Timedelta(minutes=minutes)).strftime("%Y/%j/%H:%M:%S")


def report(*spans: tuple[float, float]) -> list[list[str]]:
    """Rows of a report table for anomalies from and to so many minutes after `START`."""
    return [
        [f"AR-{number}", "FAN", f"anomaly {number}", report_time(start), report_time(end)]
        for number, (start, end) in enumerate(spans, start=1)
    ]


def write_reports(path: Path, rows: Sequence[Sequence[str]], headers: Sequence[str] = REPORT_HEADERS) -> Path:
    """Write a report table as the name of its file says: .csv, .xlsx or .xls."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([list(row) for row in rows], columns=list(headers))
    match path.suffix:
        case ".csv":
            table.to_csv(path, index=False)
        case ".xlsx":
            table.to_excel(path, index=False)
        case ".xls":
            _write_xls(path, table)
        case suffix:
            raise ValueError(suffix)
    return path


def write_dataset(
    path: Path | str,
    values: np.ndarray,
    channels: Sequence[str] = ("a", "b"),
    labels: np.ndarray | None = None,
    partition_rows: int = 0,
    events: Sequence[Event] = (),
    start: str = START,
) -> Dataset:
    """Write a dataset of values of shape [rows, channels], a row a minute, in partitions of so many rows (0: one)."""
    rows = len(values)
    timestamps = nanoseconds(start) + np.arange(rows, dtype=np.int64) * MINUTE
    step = partition_rows or rows
    with DatasetWriter(str(path), TIME, channels) as writer:
        for first in range(0, rows, step):
            part = slice(first, first + step)
            writer.write(
                Frame(
                    timestamps[part],
                    values[part].astype(np.float32),
                    None if labels is None else labels[part].astype(np.int8),
                )
            )
        return writer.commit(events=tuple(events))


def assert_refused(outcome: Outcome, *named: object, code: int = 2) -> None:
    """A command ended with this exit code and one line on stderr, which names all of these."""
    assert outcome.code == code, outcome
    assert outcome.stderr.startswith("error: "), outcome.stderr
    assert outcome.stderr.count("\n") == 1, outcome.stderr
    assert outcome.stderr.endswith("\n")
    for text in named:
        assert str(text) in outcome.stderr, outcome.stderr


def assert_nothing_written(*targets: Path) -> None:
    """Outputs do not exist, or hold nothing that could be taken for whole; no temporary file is left beside them."""
    for target in targets:
        assert not target.is_file()
        assert not (target / MANIFEST_NAME).exists()
        assert not list(target.parent.rglob("*.tmp"))


def _write_xls(path: Path, table: pd.DataFrame) -> None:
    import xlwt

    book = xlwt.Workbook()
    sheet = book.add_sheet("reports")
    for row, cells in enumerate([list(table.columns), *table.to_numpy().tolist()]):
        for column, cell in enumerate(cells):
            sheet.write(row, column, cell)
    book.save(str(path))


def write_toml(path: Path, values: dict[str, dict[str, Any]]) -> Path:
    """Write the sections of a configuration file."""
    sections = (
        f"[{name}]\n" + "".join(f"{json.dumps(key)} = {_toml(item)}\n" for key, item in entries.items())
        for name, entries in values.items()
    )
    path.write_text("".join(sections), encoding="utf-8")
    return path


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")

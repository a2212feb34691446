"""Replays a file of telemetry as a stream: one JSON object a row on stdout, at a multiple of its speed.

python -m benchmarks.replay FILE.parquet --start 2023-03-01 --hours 12 --speed 100
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import orjson
import pandas as pd


def rows_of(file: Path, timestamp_col: str, start: str, hours: float) -> Iterator[tuple[int, bytes]]:
    """Yield the time in nanoseconds and the line of each row of a period; missing values are null."""
    frame = pd.read_parquet(file)
    times = pd.to_datetime(frame[timestamp_col], utc=True)
    first = pd.Timestamp(start, tz="UTC") if start else times.iloc[0]
    chosen = (times >= first) & (times < first + pd.Timedelta(hours=hours)) if hours else times >= first
    values = frame[chosen].select_dtypes("number")
    columns = values.columns.tolist()
    nanoseconds = times[chosen].dt.as_unit("ns").astype("int64").tolist()
    for timestamp, row in zip(nanoseconds, values.to_numpy().tolist(), strict=True):
        named = dict(zip(columns, row, strict=True))
        yield timestamp, orjson.dumps({timestamp_col: timestamp, **named}) + b"\n"  # orjson writes NaN as null


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--timestamp-col", default="normalizedTime", show_default=True)
@click.option("--start", default="", help="First time, in UTC; that of the file by default.")
@click.option("--hours", default=0.0, help="Length; 0 is all of the file.")
@click.option("--speed", default=0.0, help="Multiple of the speed of the telemetry; 0 is as fast as possible.")
def replay(file: Path, timestamp_col: str, start: str, hours: float, speed: float) -> None:
    """Replay a parquet file of telemetry as NDJSON."""
    began, first = time.monotonic(), None
    for timestamp, line in rows_of(file, timestamp_col, start, hours):
        first = timestamp if first is None else first
        if speed:
            time.sleep(max(0.0, began + (timestamp - first) / 1e9 / speed - time.monotonic()))
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    replay()

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from container_component_src.errors import InputError
from container_component_src.serving.client.source import Batch, Source
from container_component_src.steps.serving import QueryModel
from tests.helpers import TIME
from tests.serving.bundles import CHANNELS, ROW


def batches(file: Path, **options: Any) -> list[Batch]:
    return list(Source(QueryModel(url="http://host", input=str(file), **options), CHANNELS).batches(10))


@pytest.mark.parametrize("name", ["fan_speed", TIME])
@pytest.mark.parametrize("text", ["csv", "json", "json of a request", "json lines"])
def test_a_text_that_names_a_column_twice_is_refused(name: str, text: str, tmp_path: Path) -> None:
    columns = {**ROW, "mode": 1.0, TIME: "2024-01-01T00:00:00Z"}
    names = [*columns, name]
    row = "{" + ", ".join(f'"{column}": {json.dumps(columns[column])}' for column in names) + "}"
    contents = {
        "csv": "\ufeff" + ",".join(names) + "\n" + ",".join(str(columns[column]) for column in names),
        "json": f"[\n{row}\n]",
        "json of a request": f'{{"instances": [{row}]}}',
        "json lines": f"{row}\n{row}\n",
    }
    (tmp_path / "telemetry").write_text(contents[text])
    with pytest.raises(InputError, match=f"telemetry: two columns are named '{name}'"):
        batches(tmp_path / "telemetry")


def test_deep_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "telemetry").write_text("[" * 100_000)
    with pytest.raises(InputError, match="telemetry: not readable as json"):
        batches(tmp_path / "telemetry")


@pytest.mark.parametrize("name", ["fan_speed", TIME])
def test_two_columns_of_one_name_are_refused(name: str, tmp_path: Path) -> None:
    columns = {**ROW, "mode": 1.0, TIME: pd.Timestamp("2024-01-01", tz="UTC")}
    names = [*columns, name]
    pq.write_table(pa.table([pa.array([columns[column]]) for column in names], names), tmp_path / "telemetry")
    with pytest.raises(InputError, match=f"telemetry: two columns are named '{name}'"):
        batches(tmp_path / "telemetry")


@pytest.mark.parametrize("time", ["now", "2024", "", "1709294400"])
def test_a_text_that_is_no_time_is_refused(time: str, tmp_path: Path) -> None:
    table = pd.DataFrame([{**ROW, TIME: "2024-01-01T00:00:00Z"}, {**ROW, TIME: time}])
    table.to_parquet(tmp_path / "telemetry")
    with pytest.raises(InputError, match=r"telemetry: row 1, timestamp .*: not a time in ISO 8601"):
        batches(tmp_path / "telemetry")


def test_a_row_without_a_time_is_refused(tmp_path: Path) -> None:
    times = pd.Series([pd.Timestamp("2024-01-01", tz="UTC"), pd.NaT])
    pd.DataFrame([ROW, ROW]).assign(**{TIME: times}).to_parquet(tmp_path / "telemetry")
    with pytest.raises(InputError, match="telemetry: row 1 has no timestamp"):
        batches(tmp_path / "telemetry")


@pytest.mark.parametrize("text", ["csv", "json", "json lines"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_line_ends_do_not_matter(text: str, line_end: str, tmp_path: Path) -> None:
    row = json.dumps(ROW)
    contents = {
        "csv": [",".join(ROW), ",".join(map(str, ROW.values()))],
        "json": ["[", row, "]"],
        "json lines": [row, ""],
    }
    (tmp_path / "telemetry").write_bytes(line_end.join(contents[text]).encode("utf-8-sig"))
    (batch,) = batches(tmp_path / "telemetry")
    assert batch.values.tolist() == [list(ROW.values())]

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from container_component_src.errors import InputError
from container_component_src.serving.client.source import Source
from container_component_src.steps.serving import QueryModel
from tests.helpers import TIME
from tests.serving.bundles import CHANNELS, ROW


@pytest.mark.parametrize("name", ["fan_speed", TIME])
def test_two_columns_of_one_name_are_refused(name: str, tmp_path: Path) -> None:
    columns = {**ROW, "mode": 1.0, TIME: pd.Timestamp("2024-01-01", tz="UTC")}
    names = [*columns, name]
    pq.write_table(pa.table([pa.array([columns[column]]) for column in names], names), tmp_path / "telemetry")
    source = Source(QueryModel(url="http://host", input=str(tmp_path / "telemetry")), CHANNELS)
    with pytest.raises(InputError, match=f"telemetry: two columns have the name '{name}'"):
        list(source.batches(10))


@pytest.mark.parametrize("time", ["now", "2024", "", "1709294400"])
def test_a_text_that_is_no_time_is_refused(time: str, tmp_path: Path) -> None:
    table = pd.DataFrame([{**ROW, TIME: "2024-01-01T00:00:00Z"}, {**ROW, TIME: time}])
    table.to_parquet(tmp_path / "telemetry")
    source = Source(QueryModel(url="http://host", input=str(tmp_path / "telemetry")), CHANNELS)
    with pytest.raises(InputError, match=r"telemetry: row 1, timestamp .*: not a time in ISO 8601"):
        list(source.batches(10))


def test_a_row_without_a_time_is_refused(tmp_path: Path) -> None:
    times = pd.Series(pd.to_datetime(["2024-01-01", None], utc=True))
    pd.DataFrame([ROW, ROW]).assign(**{TIME: times}).to_parquet(tmp_path / "telemetry")
    source = Source(QueryModel(url="http://host", input=str(tmp_path / "telemetry")), CHANNELS)
    with pytest.raises(InputError, match="telemetry: row 1 has no timestamp"):
        list(source.batches(10))

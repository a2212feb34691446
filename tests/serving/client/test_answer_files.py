"""Files of answers hold the same in every format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from container_component_src.errors import InputError
from container_component_src.serving.client import query
from container_component_src.serving.client.answer_files import write
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.serving import QueryModel
from tests.helpers import TIME
from tests.serving.local_client import LocalClient
from tests.serving.models import make_model
from tests.serving.protocols import AnomalyModel
from tests.serving.reference_alarms import frame, telemetry

ROWS = 50


@pytest.fixture
def model(tmp_path: Path) -> AnomalyModel:
    return make_model(tmp_path / "bundle", smoothing=Smoothing.MEAN, smoothing_window=3)


def written(model: AnomalyModel, source: Path, target: Path) -> Path:
    arguments = QueryModel(url="http://host", input=str(source), impute_missing=True, batch_rows=20, output=str(target))
    batches: list[query.Answered] = []
    write(query.ask(LocalClient(model), arguments), arguments.output, batches.append)
    assert sum(len(batch.table) for batch in batches) == ROWS
    return target


def read(file: Path) -> pd.DataFrame:
    if file.suffix == ".ndjson":
        return pd.DataFrame(map(json.loads, file.read_text().splitlines()))
    found = pd.read_csv(file)
    for name in found.columns:
        if name != TIME and found[name].dtype == object:
            found[name] = found[name].map(json.loads)
    return found


def plain(cell: Any) -> Any:
    """A list of numbers with NaN for null, or another cell as it is."""
    return [np.nan if item is None else item for item in cell] if np.ndim(cell) else cell


@pytest.mark.parametrize("name", ["answers.csv", "answers.ndjson", "answers.CSV"])
@pytest.mark.parametrize("timed", [True, False])
def test_text_holds_what_parquet_holds(timed: bool, name: str, model: AnomalyModel, tmp_path: Path) -> None:
    timestamps, values = telemetry(0, ROWS)
    values[:30, 1] = np.nan
    rows = frame(timestamps + 1, values)  # with nanoseconds
    (rows if timed else rows.drop(columns=TIME)).to_parquet(tmp_path / "telemetry")
    wanted = pd.read_parquet(written(model, tmp_path / "telemetry", tmp_path / "answers.parquet"))
    found = read(written(model, tmp_path / "telemetry", tmp_path / name).rename(tmp_path / name.lower()))
    assert list(found) == list(wanted)
    if timed:
        assert (pd.to_datetime(found.pop(TIME), format="ISO8601") == wanted.pop(TIME)).all()
    for column in wanted:
        for one, other in zip(found[column], wanted[column], strict=True):
            assert plain(one) == pytest.approx(plain(other), nan_ok=True), column


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "parquet"])
def test_a_failed_query_leaves_no_file(suffix: str, model: AnomalyModel, tmp_path: Path) -> None:
    timestamps, values = telemetry(0, ROWS)
    rows = frame(timestamps, values)
    rows.loc[ROWS - 1, TIME] = pd.NaT  # in the last batch
    rows.to_parquet(tmp_path / "telemetry")
    with pytest.raises(InputError, match=f"row {ROWS - 1} has no timestamp"):
        written(model, tmp_path / "telemetry", tmp_path / f"answers.{suffix}")
    assert {file.name for file in tmp_path.iterdir()} == {"bundle", "telemetry"}

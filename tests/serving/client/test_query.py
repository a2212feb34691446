"""Answers to a file do not depend on the batches in which it is sent; the model is in this process."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from container_component_src.errors import StepError
from container_component_src.serving.client import query
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.serving import QueryModel
from tests.helpers import TIME
from tests.serving.bundles import CHANNELS, SCALER
from tests.serving.local_client import LocalClient
from tests.serving.models import make_model
from tests.serving.protocols import AnomalyModel

ROWS = 25
START = pd.Timestamp("2024-01-01", tz="UTC")


def answers(model: AnomalyModel, frame: pd.DataFrame, file: Path, **options: Any) -> pd.DataFrame:
    frame.to_parquet(file)
    arguments = QueryModel(url="http://host", input=str(file), **options)
    return pd.concat([batch.table for batch in query.ask(LocalClient(model), arguments)], ignore_index=True)


@pytest.fixture(
    scope="module",
    params=[(1, "none", 3), (1, "mean", 3), (1, "median", 3), (1, "exponential", 2), (3, "median", 2)],
    ids=["batch", "mean", "median", "exponential", "windowed"],
)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AnomalyModel:
    steps, smoothing, window = request.param
    settings = {"window_steps": steps, "smoothing": Smoothing(smoothing), "smoothing_window": window}
    return make_model(tmp_path_factory.mktemp("bundle"), **settings)


def telemetry(steps: list[int] | None = None) -> pd.DataFrame:
    values = SCALER.inverse_transform(np.random.default_rng(1).standard_normal((ROWS, 3)).astype(np.float32))
    seconds = np.cumsum(steps) if steps else np.arange(ROWS)
    return pd.DataFrame(values.astype(np.float64), columns=list(CHANNELS)).assign(
        **{TIME: START + pd.to_timedelta(seconds, unit="s")}
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    missing=arrays.arrays(np.bool_, (ROWS, 3), elements=st.sampled_from([True, True, True, False])),
    steps=st.lists(st.sampled_from([1, 1, 1, 20]), min_size=ROWS, max_size=ROWS),
    batch_rows=st.integers(1, ROWS),
)
def test_imputed_answers_do_not_depend_on_the_batches(
    model: AnomalyModel, missing: Any, steps: list[int], batch_rows: int, tmp_path: Path
) -> None:
    frame = telemetry(steps)
    frame[list(CHANNELS)] = frame[list(CHANNELS)].mask(missing)
    file = tmp_path / "telemetry"
    whole = answers(model, frame, file, impute_missing=True)
    parts = answers(model, frame, file, impute_missing=True, batch_rows=batch_rows)
    for name in ("score", "smoothed_score"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-5, atol=1e-5)
    for name in (TIME, "imputed_channels", "dead_channels", "window_rows"):
        assert parts[name].tolist() == whole[name].tolist()
    assert whole["imputed_channels"].tolist() == [np.array(CHANNELS)[row].tolist() for row in missing]
    assert whole["alarm"][whole["dead_channels"].astype(bool)].all()


def test_a_model_that_imputes_needs_no_option(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", impute=True)
    frame = telemetry().assign(fan_speed=np.nan)
    assert answers(model, frame, tmp_path / "file")["imputed_channels"].tolist() == [["fan_speed"]] * ROWS
    with pytest.raises(StepError, match=f"none of {ROWS} rows was scored, .*fan_speed: {ROWS} rows"):
        answers(model, frame, tmp_path / "file", skip_missing=True)


@pytest.mark.parametrize("options", [{}, {"skip_missing": True}, {"impute_missing": True}])
@pytest.mark.parametrize("content", [",".join(CHANNELS), "[]", '{"instances": []}'])
def test_a_source_without_rows_is_an_error(
    content: str, options: dict[str, bool], model: AnomalyModel, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text(content)
    arguments = QueryModel(url="http://host", input=str(tmp_path / "file"), **options)
    with pytest.raises(StepError, match="file: no row was scored, because there is none"):
        list(query.ask(LocalClient(model), arguments))


def test_a_message_names_the_channels_with_the_most_missing_values() -> None:
    rows = Counter({"a": 1, "b": 2000, "c": 3, "d": 4, "e": 1})
    assert query.counted(rows) == "b: 2,000 rows, d: 4 rows, c: 3 rows, and 2 more channels"

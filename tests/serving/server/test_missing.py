"""Missing values: imputing them equals sending the centre, in every protocol, and a dead channel is an alarm."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.server.missing import imputation
from container_component_src.serving.server.roles import Role
from tests.serving.bundles import CHANNELS, ROW, SCALER
from tests.serving.models import DEAD_AFTER, make_model
from tests.serving.protocols import (
    ASK,
    AnomalyModel,
    Answers,
    Ask,
    Times,
    Values,
    by_grpc,
    by_v1,
    by_v1_lists,
    by_v2_binary,
    by_v2_json,
    messages,
)

SECOND = 10**9
START = 1_700_000_000 * SECOND
CENTRE = np.array(SCALER.centre)
ROWS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module", params=[(1, 1), (3, 4)], ids=["batch", "windowed"])
def model(request: pytest.FixtureRequest, folder: Path) -> AnomalyModel:
    steps, smoothing = request.param
    return make_model(folder / f"{steps}", window_steps=steps, smoothing_window=smoothing)


VALUES = arrays.arrays(np.float64, (ROWS, len(CHANNELS)), elements=st.floats(-4, 4, width=16))
MASKS = arrays.arrays(np.bool_, (ROWS, len(CHANNELS)))
TIMES = st.none() | st.lists(st.integers(1, 12), min_size=ROWS, max_size=ROWS).map(
    lambda steps: START + np.cumsum(steps) * SECOND
)


def same_scores(found: Answers, expected: Answers) -> None:
    for answer, wanted in zip(found, expected, strict=True):
        for name in ("score", "smoothed_score", "window_rows", "threshold"):
            assert (name in answer) == (name in wanted)
            assert answer.get(name, 0) == pytest.approx(wanted.get(name, 0), rel=1e-5, abs=1e-5)
        for channel, other in zip(answer["top_channels"], wanted["top_channels"], strict=True):
            for name in ("share", "expected"):
                assert channel[name] == pytest.approx(other[name], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("ask", ASK)
@given(scaled=VALUES, missing=MASKS, times=TIMES)
def test_imputing_equals_sending_the_centre(
    model: AnomalyModel, ask: Ask, scaled: Values, missing: Any, times: Times | None
) -> None:
    values = scaled * np.array(SCALER.scale) + CENTRE
    found = ask(model, np.where(missing, np.nan, values), times, True)
    expected = by_v1(model, np.where(missing, CENTRE, values), times, None)
    same_scores(found, expected)
    elapsed = np.zeros(missing.shape)
    for row in range(1, ROWS):
        step = 0 if times is None else int(times[row] - times[row - 1]) / SECOND
        elapsed[row] = (elapsed[row - 1] + step) * (missing[row] & missing[row - 1])
    dead = elapsed > DEAD_AFTER
    for row, (answer, wanted) in enumerate(zip(found, expected, strict=True)):
        assert answer["imputed_channels"] == np.array(CHANNELS)[missing[row]].tolist()
        assert answer.get("dead_channels") == (None if times is None else np.array(CHANNELS)[dead[row]].tolist())
        assert answer["alarm"] == (wanted["alarm"] or dead[row].any())
        for channel in answer["top_channels"]:
            column = CHANNELS.index(channel["channel"])
            observed = np.nan if channel["observed"] is None else channel["observed"]
            np.testing.assert_allclose(observed, np.nan if missing[row, column] else values[row, column])


@pytest.mark.parametrize("ask", ASK)
def test_a_dead_channel_is_an_alarm_with_its_name(model: AnomalyModel, ask: Ask) -> None:
    values = np.tile(CENTRE, (ROWS, 1))
    values[2:7, 1] = np.nan
    answers = ask(model, values, START + np.arange(ROWS) * SECOND, True)
    assert [answer["imputed_channels"] for answer in answers] == [[]] * 2 + [["coolant_temperature"]] * 5 + [[]]
    assert [answer["dead_channels"] for answer in answers] == [[]] * 6 + [["coolant_temperature"]] + [[]]
    assert [bool(answer["alarm"]) for answer in answers] == [False] * 6 + [True, False]


@pytest.mark.parametrize("ask", [by_v1, by_v1_lists, by_v2_json, by_grpc])
@pytest.mark.parametrize("impute", [None, False])
def test_a_missing_value_is_refused_by_default(model: AnomalyModel, ask: Ask, impute: bool | None) -> None:
    values = np.tile(CENTRE, (2, 1))
    values[1, 1] = np.nan
    with pytest.raises(RequestError, match=r"row 1"):
        ask(model, values, None, impute)


@pytest.mark.parametrize("ask", ASK)
def test_a_bundle_imputes_unless_the_request_says_no(folder: Path, ask: Ask) -> None:
    model = make_model(folder / "imputing", impute=True)
    values = np.tile(CENTRE, (2, 1))
    values[1, 1] = np.nan
    assert [answer["imputed_channels"] for answer in ask(model, values, None, None)] == [[], ["coolant_temperature"]]
    if ask is not by_v2_binary:
        with pytest.raises(RequestError, match=r"row 1"):
            ask(model, values, None, False)


def test_answers_without_imputing_have_no_further_fields(model: AnomalyModel) -> None:
    (answer,) = by_v1(model, CENTRE[np.newaxis], None, None)
    assert answer.keys() == {"score", "threshold", "alarm", "top_channels"}


@pytest.mark.parametrize("ask", [by_v1, by_v2_json, by_grpc])
def test_a_predictor_imputes_nothing(folder: Path, ask: Ask) -> None:
    model = make_model(folder / "predictor", impute=True, role=Role.PREDICTOR)
    with pytest.raises(RequestError, match=r"send the rows to the transformer"):
        ask(model, np.zeros((1, 3)), None, True)
    with pytest.raises(RequestError, match=r"row 0"):
        ask(model, np.array([[0, np.nan, 0]]), None, None)


@pytest.mark.parametrize("value", [1, "true", [], {}])
def test_a_wish_that_is_no_boolean_is_refused(model: AnomalyModel, value: object) -> None:
    with pytest.raises(RequestError, match="send true or false"):
        by_v1(model, CENTRE[np.newaxis], None, value)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="send true or false"):
        by_v2_json(model, CENTRE[np.newaxis], None, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["string_param", "int64_param"])
def test_a_wish_over_grpc_that_is_no_boolean_is_refused(model: AnomalyModel, kind: str) -> None:
    request = messages.ModelInferRequest(model_name="eclss")
    setattr(request.parameters["impute_missing"], kind, "true" if kind == "string_param" else 1)
    request.inputs.add(name="rows", datatype="FP64", shape=[1, 3]).contents.fp64_contents.extend(CENTRE)
    with pytest.raises(RequestError, match="send true or false"):
        asyncio.run(model.infer(request, {}))


def test_a_channel_that_is_left_out_is_refused(model: AnomalyModel) -> None:
    row = {name: value for name, value in ROW.items() if name != "fan_speed"}
    body = json.dumps({"instances": [row], "parameters": {"impute_missing": True}}).encode()
    with pytest.raises(RequestError, match="row 0, channel 'fan_speed': missing"):
        asyncio.run(model.answer_v1(body, {}))


def test_imputed_values_and_dead_rows_are_counted(folder: Path) -> None:
    model = make_model(folder / "counted")
    values = np.tile(CENTRE, (ROWS, 1))
    values[:7, 1] = values[0, 2] = np.nan
    by_v2_binary(model, values, START + np.arange(ROWS) * SECOND)
    by_v1(model, values, None)
    lines = model.metrics.exposition().decode().splitlines()
    assert 'anomaly_imputed_values_total{channel="cabin_pressure"} 0.0' in lines
    assert 'anomaly_imputed_values_total{channel="coolant_temperature"} 14.0' in lines
    assert 'anomaly_imputed_values_total{channel="fan_speed"} 2.0' in lines
    assert 'anomaly_dead_rows_total{channel="coolant_temperature"} 3.0' in lines
    assert 'anomaly_dead_rows_total{channel="fan_speed"} 0.0' in lines
    assert "anomaly_alarms_total 3.0" in lines


def test_metadata_describes_the_answers_of_an_imputing_model(folder: Path) -> None:
    model = make_model(folder / "described", impute=True)
    found = model.metadata()
    assert isinstance(found["parameters"], dict)
    assert found["parameters"]["impute_missing"] is True
    assert found["parameters"]["dead_after"] == DEAD_AFTER
    shapes = {output["name"]: (output["datatype"], output["shape"]) for output in model.get_output_types()}
    assert shapes["imputed_channels"] == ("BYTES", [-1])
    assert shapes["imputed"] == ("BOOL", [-1, -1])


def test_a_row_without_any_value_is_imputed(model: AnomalyModel) -> None:
    found = by_v1(model, np.full((1, 3), np.nan), None)
    same_scores(found, by_v1(model, CENTRE[np.newaxis], None, None))
    assert found[0]["imputed_channels"] == list(CHANNELS)


def test_a_channel_is_dead_only_after_more_than_the_time_given() -> None:
    values = np.full((4, 3), np.nan)
    values[1, 2] = 1.0
    rows = Rows.of(values, np.array([0, 3 * SECOND, 3 * SECOND + 1, 100 * SECOND]), impute=True)
    found = imputation(rows, CHANNELS, DEAD_AFTER)
    assert found is not None
    assert found.dead is not None
    assert found.dead.tolist() == [[False] * 3, [False] * 3, [True, True, False], [True, True, True]]
    assert found.alarms.tolist() == [False, False, True, True]

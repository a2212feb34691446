"""A channel that is constant in the training data raises the scores of a server when it departs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.serving.server.roles import Role
from tests.serving.bundles import CHANNELS, ROW, SCALER
from tests.serving.models import DEAD_AFTER, make_model
from tests.serving.protocols import ASK, AnomalyModel, Ask, by_v1, by_v2_binary

SECOND = 10**9
START = 1_700_000_000 * SECOND
CONSTANT, SCALE = SCALER.centre[1], SCALER.scale[1]
ROWS = np.tile(list(ROW.values()), (4, 1))
ROWS[:, 1] = CONSTANT, CONSTANT + 3 * SCALE, CONSTANT, 1e25


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module", params=[1, 2], ids=["one step", "two steps"])
def model(request: pytest.FixtureRequest, folder: Path) -> AnomalyModel:
    return make_model(folder / str(request.param), window_steps=request.param, constant=CHANNELS[1:2], threshold=1e3)


@pytest.mark.parametrize("ask", ASK)
def test_a_departure_raises_the_score_and_is_named_first(model: AnomalyModel, ask: Ask) -> None:
    still, moved, back, far = ask(model, ROWS, None, None)
    assert moved["score"] - still["score"] == pytest.approx(100 * np.log1p(3**2 / 199), rel=1e-4)
    assert back["score"] == still["score"]
    top = moved["top_channels"][0]
    assert (top["channel"], top["expected"], top["observed"]) == (CHANNELS[1], CONSTANT, CONSTANT + 3 * SCALE)
    assert top["share"] > 0.5
    assert far["top_channels"][0]["channel"] == CHANNELS[1]
    assert far["score"] == pytest.approx(100 * np.log1p(1e12 / 199), rel=0.01)  # finite, however far it is
    assert [bool(answer["alarm"]) for answer in (still, moved, back, far)] == [False, False, False, True]


def test_a_predictor_answers_for_all_channels(folder: Path) -> None:
    model = make_model(folder / "predictor", role=Role.PREDICTOR, constant=CHANNELS[1:2])
    body = json.dumps({"instances": [[0.0, 3.0, 0.0]]}).encode()
    (answer,) = json.loads(asyncio.run(model.answer_v1(body, {})).content)["predictions"]
    assert answer["parts"][1] == pytest.approx(100 * np.log1p(3**2 / 199))
    assert answer["expected"][1] == 0
    assert answer["score"] == pytest.approx(sum(answer["parts"]))


def test_the_metadata_lists_all_channels(model: AnomalyModel) -> None:
    inputs: Any = model.metadata()["inputs"]
    assert [item["name"] for item in inputs] == list(CHANNELS)


def test_a_missing_constant_channel_is_imputed_and_dead_as_any_other(model: AnomalyModel) -> None:
    rows = np.tile(ROWS[0], (6, 1))
    rows[1:, 1] = np.nan
    answers = by_v1(model, rows, START + np.arange(6) * SECOND, True)
    assert [answer["imputed_channels"] for answer in answers] == [[], *[[CHANNELS[1]]] * 5]
    assert [bool(answer["dead_channels"]) for answer in answers] == [step - 1 > DEAD_AFTER for step in range(6)]
    assert [answer["alarm"] for answer in answers] == [step - 1 > DEAD_AFTER for step in range(6)]
    assert len({round(answer["score"], 4) for answer in answers}) == 1


def test_departures_are_counted(folder: Path) -> None:
    model = make_model(folder / "counted", constant=CHANNELS[1:2])
    rows = ROWS[:3].copy()
    rows[2, 1] += 0.9 * SCALE  # within the resolution
    by_v2_binary(model, rows, None, None)
    lines = model.metrics.exposition().decode().splitlines()
    assert f'anomaly_input_outside_total{{channel="{CHANNELS[1]}"}} 1.0' in lines
    drift = next(line for line in lines if line.startswith(f'anomaly_input_drift{{channel="{CHANNELS[1]}"}}'))
    assert float(drift.split()[1]) == pytest.approx(1.3)

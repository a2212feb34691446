"""The alarms in an answer to rows with timestamps, in every protocol."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import AlarmState
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.model.bundle import Bundle
from container_component_src.serving.protocol.v2 import HEADER_LENGTH, decode_response, encode_request
from container_component_src.serving.server.roles import Role
from container_component_src.steps.calibration import Smoothing
from tests.serving.bundles import CHANNELS, SCALER
from tests.serving.local_client import LocalClient
from tests.serving.models import make_model
from tests.serving.protocols import AnomalyModel, messages
from tests.serving.reference_alarms import RULE, SECOND, alarms_of, assert_same, telemetry

Found = list[Any] | None


def by_v1(model: AnomalyModel, values: Float64Array, times: Timestamps | None) -> Found:
    body = {"instances": values.tolist()} | ({} if times is None else {"timestamps": times.tolist()})
    found: Found = json.loads(asyncio.run(model.answer_v1(json.dumps(body).encode(), {})).content).get("alarms")
    return found


def by_v2_binary(model: AnomalyModel, values: Float64Array, times: Timestamps | None) -> Found:
    inputs: dict[str, Any] = {"rows": values} | ({} if times is None else {"timestamps": times})
    reply = asyncio.run(model.answer_v2(*encode_request(inputs)))
    return listed(decode_response(b"".join(reply.content), reply.headers.get(HEADER_LENGTH))[0].get("parameters"))


def by_v2_json(model: AnomalyModel, values: Float64Array, times: Timestamps | None) -> Found:
    inputs: list[Any] = [{"name": "rows", "shape": values.shape, "datatype": "FP64", "data": values.ravel().tolist()}]
    if times is not None:
        texts = [f"{np.datetime64(int(time), 'ns')}Z" for time in times]
        inputs.append({"name": "timestamps", "shape": times.shape, "datatype": "BYTES", "data": texts})
    body = json.dumps({"inputs": inputs, "outputs": [{"name": "score"}]})
    return listed(json.loads(b"".join(asyncio.run(model.answer_v2(body.encode(), {})).content)).get("parameters"))


def by_grpc(model: AnomalyModel, values: Float64Array, times: Timestamps | None) -> Found:
    request = messages.ModelInferRequest(model_name="eclss")
    request.inputs.add(name="rows", datatype="FP64", shape=values.shape)
    request.raw_input_contents.append(values.tobytes())
    if times is not None:
        request.inputs.add(name="timestamps", datatype="INT64", shape=times.shape)
        request.raw_input_contents.append(times.tobytes())
    parameters = asyncio.run(model.infer(request, {})).parameters
    return listed({name: parameter.string_param for name, parameter in parameters.items()})


def listed(parameters: dict[str, str] | None) -> Found:
    """The alarms in the parameters of an answer, which has no others."""
    if not parameters:
        return None
    assert list(parameters) == ["alarms"]
    found: Found = json.loads(parameters["alarms"])
    return found


Ask = Callable[[AnomalyModel, Float64Array, Timestamps | None], Found]


@pytest.fixture(params=[by_v1, by_v2_binary, by_v2_json, by_grpc])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


SMOOTHING: dict[str, Any] = {"smoothing": Smoothing.MEAN, "smoothing_window": 3}


def test_an_answer_has_the_alarms_of_its_rows(ask: Ask, tmp_path: Path) -> None:
    model = make_model(tmp_path, rule=RULE, **SMOOTHING)
    bundle = Bundle.load(str(tmp_path))
    for seed in range(3):
        timestamps, values = telemetry(seed)
        found = [Alarm.model_validate(alarm) for alarm in ask(model, values, timestamps) or ()]
        assert len(found) > 1
        assert_same(found, alarms_of(bundle, timestamps, values, finish=False))


def test_without_timestamps_an_answer_has_no_alarms(ask: Ask, tmp_path: Path) -> None:
    _, values = telemetry(0)
    assert ask(make_model(tmp_path, rule=RULE), values, None) is None


def test_a_predictor_answers_no_alarms(ask: Ask, tmp_path: Path) -> None:
    timestamps, values = telemetry(0)
    model = make_model(tmp_path, role=Role.PREDICTOR, rule=RULE, window_steps=2)
    assert ask(model, SCALER.transform(values.astype(np.float32)).astype(np.float64), timestamps) is None


def test_without_an_alarm_the_list_is_empty(ask: Ask, tmp_path: Path) -> None:
    timestamps, values = telemetry(0)
    assert ask(make_model(tmp_path, threshold=1e6), values, timestamps) == []


def test_an_alarm_that_may_go_on_after_the_rows_is_not_closed(ask: Ask, tmp_path: Path) -> None:
    _, values = telemetry(0, 6)
    timestamps = (1_600_000_000 + np.arange(6)) * SECOND
    (alarm,) = ask(make_model(tmp_path, threshold=-100.0), values, timestamps) or []
    assert alarm["state"] == AlarmState.OPENED


def test_a_dead_channel_raises_an_alarm(tmp_path: Path) -> None:
    model = make_model(tmp_path, impute=True, threshold=1e6)  # dead after 3 seconds
    values = np.tile(SCALER.centre, (8, 1))
    values[1:7, 0] = np.nan
    timestamps = (1_600_000_000 + np.arange(8)) * SECOND
    (alarm,) = by_v1(model, values, timestamps) or []
    assert (alarm["start"], alarm["end"]) == ("2020-09-13T12:26:45+00:00", "2020-09-13T12:26:46+00:00")
    assert (alarm["state"], alarm["rows"]) == ("closed", 2)


@pytest.mark.parametrize(("ask", "times_in_json"), [(by_v1, 2), (by_v2_binary, 0)])  # smoothed score and rows of it
def test_alarms_count_as_values_of_an_answer(
    ask: Ask, times_in_json: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path, threshold=5.0)
    timestamps, values = telemetry(0)
    sizes: list[int] = []
    monkeypatch.setattr(type(model.service.limits), "check_answer", lambda _, size: sizes.append(size))
    alarms = ask(model, values, timestamps) or []
    ask(model, values, None)
    monkeypatch.undo()
    more = sizes[0] - sizes[1] - times_in_json * len(values)
    assert more == len(alarms) * (len(alarms[0]) + 2 * len(CHANNELS)) > 0


def test_the_metadata_has_the_rule_and_the_subsystems(tmp_path: Path) -> None:
    model = make_model(tmp_path, rule=RULE, **SMOOTHING)
    source = LocalClient(model).describe().alarm_source
    assert source == Bundle.load(str(tmp_path)).info.alarm_source
    assert source.rule == RULE
    assert source.subsystems == {"coolant_*": "cooling"}


def test_a_server_without_a_rule_in_its_metadata_has_one_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path)
    metadata = model.metadata()
    parameters: Any = metadata["parameters"]
    for name in ("clear_threshold", "min_duration_ns", "merge_gap_ns", "subsystems"):
        del parameters[name]
    monkeypatch.setattr(model, "metadata", lambda: metadata)
    source = LocalClient(model).describe().alarm_source
    assert source.rule == Bundle.load(str(tmp_path)).info.calibrated.rule
    assert source.subsystems == {}

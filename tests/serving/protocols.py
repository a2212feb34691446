"""Requests to a model in this process in every protocol, and their answers as predictions of V1."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from container_component_src.serving.protocol.v2 import HEADER_LENGTH, decode_response, encode_request
from tests.serving.bundles import CHANNELS

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

    from container_component_src.serving.server.model import AnomalyModel

__all__ = ["AnomalyModel", "messages"]

Values = np.ndarray[Any, np.dtype[np.float64]]
Times = np.ndarray[Any, np.dtype[np.int64]]
Answers = list[dict[str, Any]]
Ask = Callable[[AnomalyModel, Values, Times | None, bool | None], Answers]


def with_nulls(values: Values) -> list[Any]:
    objects = values.astype(object)
    objects[np.isnan(values)] = None
    found: list[Any] = objects.tolist()
    return found


def by_v1(model: AnomalyModel, values: Values, times: Times | None, impute: bool | None = True) -> Answers:
    rows = [dict(zip(CHANNELS, row, strict=True)) for row in with_nulls(values)]
    body: dict[str, Any] = {"instances": rows}
    if times is not None:
        body["timestamps"] = times.tolist()
    if impute is not None:
        body["parameters"] = {"impute_missing": impute}
    found: Answers = json.loads(asyncio.run(model.answer_v1(json.dumps(body).encode(), {})).content)["predictions"]
    return found


def by_v1_lists(model: AnomalyModel, values: Values, times: Times | None, impute: bool | None = True) -> Answers:
    body: dict[str, Any] = {"instances": values.tolist()}  # as NaN and Infinity, which Python writes
    if times is not None:
        body["timestamps"] = [f"{np.datetime64(int(time), 'ns')}Z" for time in times]
    if impute is not None:
        body["parameters"] = {"impute_missing": impute}
    found: Answers = json.loads(asyncio.run(model.answer_v1(json.dumps(body).encode(), {})).content)["predictions"]
    return found


def by_v2_binary(model: AnomalyModel, values: Values, times: Times | None, impute: bool | None = True) -> Answers:
    inputs: dict[str, Any] = {"rows": values} if times is None else {"rows": values, "timestamps": times}
    body, headers = encode_request(inputs, bool(impute))
    reply = asyncio.run(model.answer_v2(body, headers))
    return predictions(decode_response(b"".join(reply.content), reply.headers.get(HEADER_LENGTH))[1])


def by_v2_json(model: AnomalyModel, values: Values, times: Times | None, impute: bool | None = True) -> Answers:
    rows = len(values)
    inputs = [
        {"name": name, "shape": [rows], "datatype": "FP64", "data": with_nulls(column)}
        for name, column in zip(CHANNELS, values.T, strict=True)
    ]
    if times is not None:
        inputs.append({"name": "timestamps", "shape": [rows], "datatype": "INT64", "data": times.tolist()})
    body = {"inputs": inputs} | ({} if impute is None else {"parameters": {"impute_missing": impute}})
    reply = asyncio.run(model.answer_v2(json.dumps(body).encode(), {}))
    return predictions(decode_response(b"".join(reply.content), None)[1])


def by_grpc(model: AnomalyModel, values: Values, times: Times | None, impute: bool | None = True) -> Answers:
    request = messages.ModelInferRequest(model_name="eclss")
    if impute is not None:
        request.parameters["impute_missing"].bool_param = impute
    request.inputs.add(name="rows", datatype="FP64", shape=values.shape).contents.fp64_contents.extend(values.ravel())
    if times is not None:
        request.inputs.add(name="timestamps", datatype="INT64", shape=times.shape).contents.int64_contents.extend(times)
    answer = asyncio.run(model.infer(request, {}))
    outputs = {}
    for tensor in answer.outputs:
        ((_, data),) = tensor.contents.ListFields() or ((None, ()),)
        texts = [item.decode() if isinstance(item, bytes) else item for item in data]
        outputs[tensor.name] = np.array(texts, dtype=object).reshape(tensor.shape)
    return predictions(outputs)


def predictions(outputs: dict[str, Any]) -> Answers:
    """The tensors of a V2 answer as V1 predictions."""
    names = outputs.pop("imputed_channels", None)
    tops = [outputs.pop(f"top_{name}") for name in ("channel", "share", "expected", "observed")]
    rows: Answers = [{name: array[row] for name, array in outputs.items()} for row in range(len(outputs["score"]))]
    for index, row in enumerate(rows):
        for mask, name in (("imputed", "imputed_channels"), ("dead", "dead_channels")):
            if mask in row:
                row[name] = names[row.pop(mask).astype(bool)].tolist()
        row["top_channels"] = [
            dict(zip(("channel", "share", "expected", "observed"), values, strict=True))
            for values in zip(*(top[index] for top in tops), strict=True)
        ]
    return rows


ASK: list[Ask] = [by_v1, by_v1_lists, by_v2_binary, by_v2_json, by_grpc]

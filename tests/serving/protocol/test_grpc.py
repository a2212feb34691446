import sys
from typing import Any
from unittest import mock

import pytest

from container_component_src.serving.protocol.errors import RequestError
from tests.helpers import Counting

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from kserve import InferInput, InferRequest

    from container_component_src.serving.protocol.grpc import decode_request

NAMES = 3_000


def message(names: list[Any]) -> InferRequest:
    return InferRequest("eclss", [InferInput(name, [0], "FP32") for name in names])


def test_a_repeated_input_takes_one_pass() -> None:
    names = [Counting(f"channel {number}") for number in range(NAMES)]
    request = message([*names, Counting(names[-1])])
    with Counting.few(10 * NAMES), pytest.raises(RequestError, match=f"input '{names[-1]}': given twice"):
        decode_request(request, [None] * (NAMES + 1), NAMES + 1).rows(names)


def test_more_inputs_than_a_model_can_have_are_refused_before_any_is_read() -> None:
    with Counting.few(0), pytest.raises(RequestError, match="3000 inputs, far more than the model has channels"):
        decode_request(message([Counting("x")] * NAMES), [None] * NAMES, NAMES - 1)

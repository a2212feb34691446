import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.serving.protocol.wire import holds_more_fields
from tests.serving.grpc_client import messages

MOST = 20


@given(inputs=st.integers(0, 30), raw=st.integers(0, 30), outputs=st.integers(0, 3), name=st.text())
def test_the_fields_of_a_message_are_counted(inputs: int, raw: int, outputs: int, name: str) -> None:
    message = messages.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "x", "shape": [3, 1], "contents": {"fp64_contents": [1.0] * 300}}] * inputs,
        outputs=[{}] * outputs,
        raw_input_contents=[b"\x2a\x00" * 300] * raw,
    )
    fields = bool(name) + inputs + raw + outputs
    assert holds_more_fields(message.SerializeToString(), MOST) == (fields > MOST)


@given(content=st.binary(max_size=300))
def test_anything_can_be_counted(content: bytes) -> None:
    holds_more_fields(content, MOST)


@pytest.mark.parametrize(
    "content",
    [b"\x0a\xff", b"\xff" * 10**6, b"\x0a" + b"\xff" * 9 + b"\x7f", b"\x0f" * 100, b"\x08"],
    ids=["no length", "endless number", "huge length", "no wire type", "no value"],
)
def test_what_cannot_be_read_is_left_to_the_parser(content: bytes) -> None:
    assert not holds_more_fields(content, MOST)


@pytest.mark.parametrize(
    "content", [b"\x0d1234" * 30, b"\x0912345678" * 30, b"\x08\x01" * 30], ids=["32", "64", "number"]
)
def test_fields_of_other_wire_types_are_counted(content: bytes) -> None:
    assert holds_more_fields(content, MOST)
    assert not holds_more_fields(content, 30)


def test_a_group_is_taken_to_have_many_fields() -> None:
    assert holds_more_fields(b"\x0b" + b"\x2a\x00" * 100 + b"\x0c", MOST)

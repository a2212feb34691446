import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.serving.protocol.limits import Limits, TooLargeError

LIMITS = Limits(64 * 1024)  # 1024 values and names in JSON, 102 rows of few channels
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
    max_leaves=50,
)


def items(content: object) -> int:
    """Values and names."""
    if isinstance(content, dict):
        return 1 + sum(1 + items(value) for value in content.values())
    return 1 + sum(map(items, content)) if isinstance(content, list) else 1


@given(content=st.lists(JSON, min_size=1))
def test_no_json_with_more_values_and_names_than_the_limit_passes(content: list[object]) -> None:
    body = json.dumps(content).encode()
    limits = Limits(64 * (items(content) - 2))
    with pytest.raises(TooLargeError):
        limits.check_json(body, len(body))


@pytest.mark.parametrize(
    "item", [b"{}", b"[]", b"1", b'"a"', b'{"a":1}', b"[[[1]]]", b"null"], ids=lambda item: item.decode()
)
def test_json_is_refused_by_the_number_of_its_values_and_names(item: bytes) -> None:
    marks = sum(item.count(mark) for mark in (b",", b":", b"[", b"{"))
    for count, fits in ((1000 // (marks + 1), True), (1100 // (marks + 1), False)):
        body = b"[" + b",".join([item] * count) + b"]"
        if fits:
            LIMITS.check_json(body, len(body))
        else:
            with pytest.raises(TooLargeError, match="more than 1024 values and names; send fewer rows"):
                LIMITS.check_json(body, len(body))


def test_binary_data_behind_the_json_do_not_count() -> None:
    LIMITS.check_json(b"{}" + b"," * 5000, 2)


def test_json_is_refused_by_its_bytes() -> None:
    LIMITS.check_json(b" " * 16 * 1024, 16 * 1024)
    with pytest.raises(TooLargeError, match="16385 bytes of JSON"):
        LIMITS.check_json(b" " * (16 * 1024 + 1), 16 * 1024 + 1)


@pytest.mark.parametrize(("channels", "rows"), [(3, 102), (40, 102), (100, 40), (10**6, 1)])
def test_rows_are_limited_by_their_number_and_their_values(channels: int, rows: int) -> None:
    assert LIMITS.rows(channels) == rows
    LIMITS.check_rows(rows, channels)
    with pytest.raises(TooLargeError, match=f"{rows + 1} rows exceed the limit of {rows}"):
        LIMITS.check_rows(rows + 1, channels)


def test_answers_and_typed_contents_are_limited() -> None:
    LIMITS.check_answer(3072)
    LIMITS.check_typed(1024)
    with pytest.raises(TooLargeError, match="ask for binary outputs"):
        LIMITS.check_answer(3073)
    with pytest.raises(TooLargeError, match="raw_input_contents"):
        LIMITS.check_typed(1025)

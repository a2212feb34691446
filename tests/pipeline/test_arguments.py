import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kfp.pipeline_spec import pipeline_spec_pb2

from container_component_src.errors import InputError
from pipeline.arguments import parse_arguments

TYPES = pipeline_spec_pb2.ParameterType


def pipeline_root(**types: int) -> Any:
    root = pipeline_spec_pb2.ComponentSpec()
    for name, parameter_type in types.items():
        root.input_definitions.parameters[name].parameter_type = parameter_type
        root.input_definitions.parameters[name].is_optional = True
    return root


ROOT = pipeline_root(
    count=TYPES.NUMBER_INTEGER,
    rate=TYPES.NUMBER_DOUBLE,
    flag=TYPES.BOOLEAN,
    names=TYPES.LIST,
    space=TYPES.STRUCT,
    text=TYPES.STRING,
)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", "3", 3),
        ("count", "3.0", 3),
        ("count", 4, 4),
        ("rate", "1e-3", 0.001),
        ("rate", 2, 2.0),
        ("flag", "False", False),
        ("flag", "yes", True),
        ("flag", True, True),
        ("names", '["a", "b"]', ["a", "b"]),
        ("names", ["a"], ["a"]),
        ("names", "5", [5]),
        ("names", 5, [5]),
        ("space", '{"lr": [0.1, 1]}', {"lr": [0.1, 1]}),
        ("text", "3", "3"),
        ("text", "", ""),
    ],
)
def test_values_get_their_declared_types(name: str, value: object, expected: object) -> None:
    parsed = parse_arguments(ROOT, {name: value})
    assert parsed == {name: expected}
    assert type(parsed[name]) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("count", "3.5", "a whole number"),
        ("count", True, "a whole number"),
        ("count", str(2**53 + 1), "a whole number of at most"),
        ("count", "inf", "a whole number"),
        ("rate", "fast", "a finite number"),
        ("rate", "nan", "a finite number"),
        ("rate", None, "a finite number"),
        ("flag", "perhaps", "true or false"),
        ("flag", 1, "true or false"),
        ("names", '{"a": 1}', "a JSON list"),
        ("names", "a,b", "a JSON list"),
        ("names", "[" * 100_000, "a JSON list"),
        ("names", f"[{'9' * 5000}]", "a JSON list"),
        ("space", "[1]", "a JSON object"),
        ("text", 3, "text"),
    ],
)
def test_misfit_names_the_parameter_and_the_fix(name: str, value: object, fix: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' is .*; give {fix}"):
        parse_arguments(ROOT, {name: value})


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'cuont'; use one of count, flag, names, rate, space, text"):
        parse_arguments(ROOT, {"cuont": "3"})


def test_parameter_without_default_needs_a_value() -> None:
    root = pipeline_root(count=TYPES.NUMBER_INTEGER)
    root.input_definitions.parameters["count"].is_optional = False
    with pytest.raises(InputError, match="'count' has no default"):
        parse_arguments(root, {})
    assert parse_arguments(root, {"count": "1"}) == {"count": 1}


@given(
    st.lists(st.integers() | st.text() | st.booleans()),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_text_of_a_value_parses_to_the_value(names: list[object], count: int, rate: float) -> None:
    values = {"names": names, "rate": rate, "count": count}
    texts = {"names": json.dumps(names), "rate": repr(rate), "count": str(count)}
    assert parse_arguments(ROOT, texts) == values

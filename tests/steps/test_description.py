from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic.fields import FieldInfo

from container_component_src.errors import InputError
from container_component_src.steps.declaration import Arguments, option
from container_component_src.steps.description import bounds_of, choices_of, default_of, described, parse_text, type_of
from container_component_src.steps.training import HiddenDims


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Arguments):
    size: int = 1


class Example(Arguments):
    text: str = option("A text.")
    count: int = option("A count.", 3, ge=1)
    share: float | None = option("A share.", None, gt=0, lt=1)
    wanted: bool = option("A truth value.", True)
    colour: Colour = option("A colour.", Colour.RED)
    mode: Literal["a", "b"] | None = option("A mode.", None)
    sizes: HiddenDims = option("Two sizes.", (256, 128))
    choices: Annotated[tuple[HiddenDims, ...], Field(min_length=1)] = option("Pairs.", ((8, 4), (16, 8)))
    numbers: tuple[float, ...] = option("Numbers.", (1.0, 0.5))
    inner: Inner = option("An object.", Inner())


def field(name: str) -> FieldInfo:
    return Example.model_fields[name]


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("text", "text", None),
        ("count", "integer", "3"),
        ("share", "number", None),
        ("wanted", "boolean", "true"),
        ("colour", "text", "red"),
        ("mode", "text", None),
        ("sizes", "text", "256,128"),
        ("choices", "json list", '["8,4", "16,8"]'),
        ("numbers", "json list", "[1.0, 0.5]"),
        ("inner", "json object", "{}"),
    ],
)
def test_types_and_defaults_read_as_on_a_command_line(name: str, kind: str, default: str | None) -> None:
    assert (type_of(field(name)), default_of(field(name))) == (kind, default)


def test_choices_and_bounds() -> None:
    assert choices_of(field("colour")) == ["red", "blue"]
    assert choices_of(field("mode")) == ["a", "b"]
    assert choices_of(field("count")) == []
    assert bounds_of(field("count")) == "at least 1"
    assert bounds_of(field("share")) == "above 0, below 1"
    assert bounds_of(field("text")) == ""
    assert [described(field(name)).rpartition(" [")[2] for name in ("mode", "count")] == ["a, b]", "at least 1]"]
    assert described(field("text")) == field("text").description


def test_text_is_parsed_by_the_type_of_the_field() -> None:
    assert parse_text(field("count"), "1e1") == 10
    assert parse_text(field("count"), "3.5") == "3.5"
    assert parse_text(field("numbers"), "[1, 2]") == [1, 2]
    assert parse_text(field("inner"), '{"size": 2}') == {"size": 2}
    assert parse_text(field("sizes"), "8,4") == "8,4"
    assert parse_text(field("numbers"), [1]) == [1]
    with pytest.raises(InputError, match=r"'1, 2' is not JSON .*; give a json list"):
        parse_text(field("numbers"), "1, 2")
    with pytest.raises(InputError, match=r"'\{\}' is not a json list"):
        parse_text(field("numbers"), "{}")

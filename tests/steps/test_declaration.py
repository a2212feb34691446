from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from container_component_src.steps.declaration import (
    Arguments,
    InputArtifact,
    Option,
    OutputArtifact,
    Parameter,
    Wired,
    adapter,
    flag,
    input_artifact,
    option,
    output_dataset,
    output_file,
    parameter,
    wired,
)


class Example(Arguments):
    """Arguments of every kind."""

    command: ClassVar[str] = "example"
    results: ClassVar[dict[str, type]] = {"count": int}

    mode: Literal["a", "b"] = option("A choice.", "a")
    dry_run: bool = flag("A flag.")
    rate: float = parameter("A number.", 0.5, name="example_rate", gt=0, le=1)
    source: str = wired("From another step.")
    model: str = input_artifact("A file.", "bundle", "Model")
    target: str = output_dataset("A large output.", "dataset")
    page: str = output_file("A small output.", "page", "HTML", "")


def test_every_argument_has_its_role() -> None:
    roles = {name: type(role) for name, _, role in Example.fields()}
    assert roles == {
        "mode": Option,
        "dry_run": Option,
        "rate": Parameter,
        "source": Wired,
        "model": InputArtifact,
        "target": OutputArtifact,
        "page": OutputArtifact,
    }
    assert Example.parameters() == {"rate": "example_rate"}
    assert {name: (role.kind, role.by) for name, role in Example.outputs().items()} == {
        "dataset": ("Dataset", "uri"),
        "page": ("HTML", "path"),
    }


def test_arguments_without_a_default_are_required() -> None:
    assert [name for name, field, _ in Example.fields() if field.is_required()] == ["source", "model", "target"]
    example = Example(source="s", model="m", target="t")
    assert (example.mode, example.dry_run, example.rate, example.page) == ("a", False, 0.5, "")


def test_a_step_publishes_if_it_has_any_output() -> None:
    class Silent(Arguments):
        rate: float = parameter("A number.", 0.5)

    assert Example.publishes()
    assert not Silent.publishes()


@pytest.mark.parametrize("rate", [0, 1.5, float("nan"), float("inf"), "fast"])
def test_bounds_hold_for_the_whole_and_for_the_single_argument(rate: object) -> None:
    with pytest.raises(ValidationError):
        Example.model_validate({"source": "s", "model": "m", "target": "t", "rate": rate})
    with pytest.raises(ValidationError):
        adapter(Example.model_fields["rate"]).validate_python(rate)

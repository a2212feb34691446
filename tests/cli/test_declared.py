import json
from typing import ClassVar

import click
import pytest
from click.testing import CliRunner

from container_component_src.cli.declared import step_command
from container_component_src.errors import InputError
from container_component_src.steps.declaration import Arguments, flag, option, output_file, parameter
from container_component_src.steps.shared import Launching


class Example(Launching):
    """Arguments of a command that starts pods."""

    command: ClassVar[str] = "example"
    image_option: ClassVar[str] = "--worker-image"

    count: int = parameter("How many.", 3, ge=1)
    rates: tuple[float, ...] = option("Rates.", (0.5,))
    verbose: bool = flag("Say more.")
    name: str = option("A name.", aliases=("--the_name",))
    target: str = output_file("A file.", "target")


seen: list[tuple[Example, str]] = []


@step_command(Example)
def example(arguments: Example, executor_input: str) -> None:
    """Do nothing."""
    seen.append((arguments, executor_input))


def called(*options: str) -> Example:
    context = example.make_context("example", ["--name", "n", "--target", "t", *options])
    seen.clear()
    example.invoke(context)
    return seen[0][0]


def test_options_have_the_declared_defaults() -> None:
    arguments = called()
    assert (arguments.count, arguments.rates, arguments.verbose) == (3, (0.5,), False)
    assert seen[0][1] == ""


def test_values_are_parsed_as_declared() -> None:
    arguments = called("--count", "4.0", "--rates", "[1, 0.25]", "--verbose", "--the_name", "other")
    assert (arguments.count, arguments.rates, arguments.verbose, arguments.name) == (4, (1.0, 0.25), True, "other")


def test_single_options_of_pods_override_the_object() -> None:
    pods = json.dumps({"image": "one", "cpu": "2", "memory": "4Gi"})
    arguments = called("--pods", pods, "--worker-image", "two", "--memory", "2048Mi", "--namespace", "team")
    assert (arguments.pods.image, arguments.pods.cpu, arguments.pods.memory) == ("two", "2", "2Gi")
    assert arguments.pods.namespace == "team"
    assert called().pods.s3_secret == "s3creds"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "'0': Input should be greater than or equal to 1"),
        (["--count", "2.5"], "'2.5': "),
        (["--rates", "0.5, 1"], "'0.5, 1' is not JSON"),
        (["--rates", '["fast"]'], r"key '\[0\]' is wrong"),
        (["--pods", '{"colour": "red"}'], "key 'colour' is not a known key"),
        (["--cpu", "many"], "'many': many is not a Kubernetes quantity"),
        (["--backend", "cloud"], "'cloud' is not one of 'kubernetes', 'local'"),
    ],
)
def test_a_bad_value_names_its_option(options: list[str], message: str) -> None:
    with pytest.raises(click.BadParameter, match=message) as caught:
        called(*options)
    assert options[0] in caught.value.format_message()


def test_the_namespace_is_no_setting_of_pods() -> None:
    with pytest.raises(InputError, match="--pods has a namespace; give it with --namespace"):
        called("--pods", '{"namespace": "team"}')


def test_a_required_option_is_asked_for() -> None:
    with pytest.raises(click.MissingParameter):
        example.make_context("example", ["--target", "t"])


def test_values_that_do_not_fit_each_other_are_refused() -> None:
    class Range(Arguments):
        command: ClassVar[str] = "range"
        low: int = option("Lower bound.", 0)

        def model_post_init(self, context: object) -> None:
            if self.low > 10:
                raise ValueError("--low is above 10")

    @step_command(Range)
    def show(arguments: Range) -> None:
        """Do nothing."""

    with pytest.raises(InputError, match=r"^--low is above 10$"):
        show.invoke(show.make_context("range", ["--low", "11"]))


def test_the_help_shows_description_bounds_choices_and_default() -> None:
    shown = " ".join(CliRunner().invoke(example, ["--help"]).output.split())
    assert "How many. [at least 1] [default: 3]" in shown
    assert "--backend [kubernetes|local]" in shown
    assert "Do nothing." in shown
    assert "--executor-input" not in shown

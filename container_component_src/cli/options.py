"""Options and option types that several commands share."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from container_component_src.cluster.step import own_namespace

F = TypeVar("F", bound=Callable[..., Any])


class WholeNumber(click.ParamType[int]):
    """An integer, also in the forms in which the pipeline backend hands on whole numbers (`3.0`)."""

    name = "integer"

    def __init__(self, minimum: int | None = None) -> None:
        self.minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse, refusing fractions and numbers below the minimum."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not a whole number", param, ctx)
        if not number.is_integer():
            self.fail(f"{value!r} is not a whole number", param, ctx)
        if self.minimum is not None and number < self.minimum:
            self.fail(f"{value} is below {self.minimum}", param, ctx)
        return int(number)


class JsonValue(click.ParamType[Any]):
    """A list or an object as JSON, as the pipeline backend hands on list and struct parameters."""

    def __init__(self, kind: type[list[Any]] | type[dict[str, Any]]) -> None:
        self.kind = kind
        self.name = "json list" if kind is list else "json object"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse, refusing JSON of the other kind."""
        if isinstance(value, self.kind):
            return value
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError as error:
            self.fail(f"{value!r} is not JSON ({error.msg})", param, ctx)
        if not isinstance(parsed, self.kind):
            self.fail(f"{value!r} is not a {self.name}", param, ctx)
        return parsed


class PathList(click.ParamType[list[str]]):
    """One path, or several as a JSON list."""

    name = "path or json list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Parse, refusing a list of other things than text."""
        if isinstance(value, str) and not value.lstrip().startswith("["):
            return [value]
        paths: list[str] = JsonValue(list).convert(value, param, ctx)
        for path in paths:
            if not isinstance(path, str):
                self.fail(f"{path!r} is not a path", param, ctx)
        return paths


class HiddenDims(click.ParamType[tuple[int, int]]):
    """Sizes of the two hidden layers: `128,64`, or a JSON list."""

    name = "h1,h2"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Parse two positive whole numbers."""
        parts: Sequence[Any] = value.strip("[] ").split(",") if isinstance(value, str) else value
        sizes = [WholeNumber(1).convert(part, param, ctx) for part in parts]
        if len(sizes) != 2:
            self.fail(f"{value!r} does not name two layer sizes, as in 128,64", param, ctx)
        return sizes[0], sizes[1]


class Number(click.FloatRange):
    """A number in a range; NaN, which compares as neither below nor above it, and infinity are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse, refusing what is not a finite number in the range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


FRACTION = Number(0, 1, min_open=True)
POSITIVE = Number(0, min_open=True)
CENTURY = 876_600.0  # hours; timestamps in nanoseconds reach less than three


def executor_input_option(command: F) -> F:
    """`--executor-input`: how the pipeline tells a step where its outputs go."""
    return click.option(
        "--executor-input",
        default="",
        hidden=True,
        help="ExecutorInput JSON, filled in by the pipeline; outputs are shown on stdout without it.",
    )(command)


def data_root_option(command: F) -> F:
    """`--data-root`: where the datasets of a run go, in place of the paths of the outputs."""
    return click.option(
        "--data-root",
        default="",
        help="Folder in a store of your own: large outputs go to RUN_ID/COMMAND below it, and not where the other "
        "options say.",
    )(command)


def namespace_option(command: F) -> F:
    """`--namespace`: of what runs on a cluster; in a pod its own by default."""
    return click.option(
        "--namespace",
        default="",
        callback=lambda context, option, value: own_namespace(value),
        help="Namespace of the pods on a cluster; in a pod its own by default, elsewhere one has to be named.",
    )(command)


def timestamp_col_option(command: F) -> F:
    """`--timestamp-col`."""
    return click.option(
        "--timestamp-col", default="normalizedTime", show_default=True, help="Name of the timestamp column (UTC)."
    )(command)


def minio_endpoint_option(command: F) -> F:
    """`--minio-endpoint`."""
    return click.option(
        "--minio-endpoint", default="", help="S3 endpoint, with or without scheme; S3_ENDPOINT by default."
    )(command)


def backend_option(command: F) -> F:
    """`--backend`."""
    return click.option(
        "--backend",
        "backend_name",
        type=click.Choice(["kubernetes", "local"]),
        default="local",
        show_default=True,
        envvar="PIPELINE_BACKEND",
        help="Where jobs run: by the cluster's operators, or as processes of this machine.",
    )(command)

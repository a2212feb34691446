"""The last lines of a run that has ended: how good its model is, where everything is, and how to go on."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container_component_src.processes import PROJECT_ROOT
from container_component_src.steps.serving import DeployToKserve
from container_component_src.values import PROGRAM


@dataclass(frozen=True)
class Outcome:
    """What is known of a run that has ended; what is empty gets no line.

    Attributes:
        headline: Metrics of the model, each as `name: text`.
        gate: Conditions of the deployment, each with its limit and whether the model meets it.
        promotion: Whether the model replaces the deployed one, and why.
        report: Where the report is.
        model: Where the model is.
        query: How to query it.
        rest: Where the rest is.
        next_step: What to do next.
    """

    headline: Sequence[str] = ()
    gate: Sequence[str] = ()
    promotion: str = ""
    report: str = ""
    model: str = ""
    query: str = ""
    rest: str = ""
    next_step: str = ""

    def lines(self) -> Iterator[str]:
        """Yield the lines for the terminal; their names are right-aligned."""
        for line in self.headline:
            name, _, text = line.partition(": ")
            yield _aligned(name, text)
        for condition in self.gate:
            yield _aligned("gate", condition)
        named = (
            *(("promotion", self.promotion), ("report", self.report), ("model", self.model)),
            *(("query", self.query), ("summary", self.rest), ("next", self.next_step)),
        )
        yield from (_aligned(name, text) for name, text in named if text)


def promotion(promoted: bool, reason: str) -> str:
    """Return whether a model replaces the deployed one, and why."""
    return f"{'promoted' if promoted else 'refused'}: {reason}"


def service_name(changed: Mapping[str, Any]) -> str:
    """Return the name of a run's service, by the parameters of the run that differ from their defaults."""
    return str(changed.get("service_name", DeployToKserve.model_fields["service_name"].default))


def query_command(url: str, model_name: str, file: str) -> str:
    """Return a command for a shell in this working directory that has a served model score a file."""
    program = [from_here(Path(sys.executable)), from_here(PROJECT_ROOT / PROGRAM[1])]
    return shlex.join([*program, "query_model", "--url", url, "--model-name", model_name, "--input", file])


def from_here(path: Path) -> str:
    """Return a path as a command in this working directory can name it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _aligned(name: str, text: str) -> str:
    return f"{name:>12}  {text}"

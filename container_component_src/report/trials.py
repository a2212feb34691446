"""Tuning trials of the report: their table and plots."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from container_component_src import storage
from container_component_src.arrays import Float64Array
from container_component_src.errors import InputError
from container_component_src.report.text import scale_texts, short_number
from container_component_src.report.traces import Figure, count_axis

Ticks = list[tuple[float, str]]  # position from 0 to 1, text

OBJECTIVE = "val_loss"
_NOT_TUNED = ("trial", "state", OBJECTIVE, "seconds")
_FIX = "name the trials table of the tuning"
_REQUIRED = ("trial", "state", OBJECTIVE)
_MOST_CHOICES = 10  # an axis with more distinct values is a scale


@dataclass(frozen=True)
class TrialRow:
    """Row of the trials table."""

    number: int
    loss: float  # NaN if the trial did not finish
    tuned: Mapping[str, str]  # values of the hyperparameters as they are written


def read_trials(uri: str) -> list[TrialRow]:
    """Read the trials table, with columns `trial`, `state`, `val_loss` and one for each hyperparameter, by trial.

    Raises:
        InputError: The file is missing or not a CSV table, or a column is missing or not numeric.
    """
    content = storage.resolve(uri).read_bytes()
    try:
        header, *lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        table = [dict(zip(header, line, strict=True)) for line in lines if line]
    except (csv.Error, ValueError) as error:
        raise InputError(f"{uri}: not a CSV table ({error})", fix=_FIX) from error
    for column in _REQUIRED:
        if column not in header:
            raise InputError(f"{uri}: column '{column}' is missing", fix=_FIX)
    return sorted((_trial(uri, row, cells) for row, cells in enumerate(table, start=1)), key=lambda trial: trial.number)


def _trial(uri: str, row: int, cells: Mapping[str, str]) -> TrialRow:
    number, loss = (_number(cells[column]) for column in ("trial", OBJECTIVE))
    for column, wrong in (("trial", not math.isfinite(number)), (OBJECTIVE, math.isnan(loss) and cells[OBJECTIVE])):
        if wrong:
            raise InputError(f"{uri}: column '{column}', row {row} is not a number", fix="correct the table")
    return TrialRow(int(number), loss, {name: cell for name, cell in cells.items() if name not in _NOT_TUNED})


def trial_summary(trials: Sequence[TrialRow]) -> str:
    """Return the number of finished trials, the best one, and the hyperparameters that are equal in all of them."""
    finished = _finished(trials)
    text = f"{len(finished)} of {len(trials)} trials finished."
    if not finished:
        return text
    best, varied = min(finished, key=lambda trial: trial.loss), _varied(finished)
    loss = f"{short_number(best.loss)} nats per time step"
    constant = [f"{name} {_shown(cell)}" for name, cell in best.tuned.items() if name not in varied]
    same = f" The same in all of them: {', '.join(constant)}." if constant else ""
    return f"{text} Trial {best.number} has the smallest validation loss, {loss}.{same}"


def trial_figures(trials: Sequence[TrialRow]) -> dict[str, Figure]:
    """Return the objective over the trials, and the parallel coordinates of the hyperparameters that differ.

    Only finished trials are shown; there is no figure without one, and no parallel coordinates if all are equal.
    """
    finished = _finished(trials)
    if not finished:
        return {}
    parallel = {"parallel": _parallel(finished)} if _varied(finished) else {}
    return {"objective": _objective(finished), **parallel}


def _finished(trials: Sequence[TrialRow]) -> list[TrialRow]:
    return [trial for trial in trials if math.isfinite(trial.loss)]


def _varied(trials: Sequence[TrialRow]) -> list[str]:
    """Return the names of the hyperparameters that differ between trials."""
    return [name for name in trials[0].tuned if len({trial.tuned[name] for trial in trials}) > 1]


def _number(cell: str) -> float:
    """Return the value of a cell, or NaN if it is no number."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _shown(cell: str) -> str:
    """Return a hyperparameter with three significant digits, unless it is an integer or no number."""
    number = _number(cell)
    return cell if math.isnan(number) or number.is_integer() else short_number(number)


def _objective(trials: Sequence[TrialRow]) -> Figure:
    varied, numbers, losses = _varied(trials), [trial.number for trial in trials], [trial.loss for trial in trials]
    text = ["<br>".join(escape(f"{name} {_shown(trial.tuned[name])}") for name in varied) for trial in trials]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "Trial",
                "x": numbers,
                "y": losses,
                "text": text,
                "marker": {"color": "@score", "size": 8},
                "hovertemplate": "Trial %{x}: %{y:,.3~r} nats per time step<br>%{text}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": "Best so far",
                "x": numbers,
                "y": np.minimum.accumulate(losses).tolist(),
                "line": {"color": "@calibrated", "width": 2, "shape": "hv"},
                "hoverinfo": "skip",
            },
        ],
        "layout": {
            "xaxis": count_axis("Trial", numbers[-1]),
            "yaxis": {"title": {"text": "Validation loss (nats per time step)"}},
        },
    }


def _parallel(trials: Sequence[TrialRow]) -> Figure:
    """Return parallel coordinates drawn with plain lines; the best trial stands out.

    The trace type of plotly.js for parallel coordinates needs WebGL, which many remote desktops lack.
    """
    names = _varied(trials)
    losses = np.array([trial.loss for trial in trials])
    axes = [*(_choice_axis([trial.tuned[name] for trial in trials]) for name in names), _number_axis(losses)]
    labels = [*names, OBJECTIVE]
    data: list[Figure] = []
    for rank, row in reversed(
        [*enumerate(np.argsort(losses, kind="stable"), start=1)]
    ):  # the best is drawn last, on top
        name, colour, width = _rank_look(rank, len(trials))
        cells = [*(trials[row].tuned[label] for label in names), str(trials[row].loss)]
        shown = any(trace["name"] == name for trace in data)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": list(range(len(axes))),
                "y": [float(positions[row]) for positions, _ in axes],
                "text": [escape(f"{label} {_shown(cell)}") for label, cell in zip(labels, cells, strict=True)],
                "hovertemplate": f"Trial {trials[row].number}<br>%{{text}}<extra></extra>",
                "name": name,
                "legendgroup": name,
                "showlegend": not shown,
                "line": {"color": colour, "width": width},
                "marker": {"color": colour, "size": 4 + width},
            }
        )
    return {"data": data, "layout": _parallel_layout(labels, [ticks for _, ticks in axes])}


def _parallel_layout(labels: list[str], ticks: list[Ticks]) -> Figure:
    return {
        "xaxis": {
            "showline": False,
            "tickvals": list(range(len(labels))),
            "ticktext": [escape(label) for label in labels],
            "range": [-0.2, len(labels) - 0.5],
        },
        "yaxis": {"visible": False, "range": [-0.08, 1.08]},
        "annotations": [
            {
                "x": axis,
                "y": place,
                "text": escape(text),
                "showarrow": False,
                "xanchor": "left",
                "xshift": 8,
                "yshift": 0 if axis == len(ticks) - 1 else 11,  # above the lines; no line continues after the last axis
                "bgcolor": "@panel/0.8",
            }
            for axis, of_axis in enumerate(ticks)
            for place, text in of_axis
        ],
        "hovermode": "closest",
    }


def _rank_look(rank: int, trials: int) -> tuple[str, str, int]:
    """Return name, colour and width of the line of a trial by its rank, from 1."""
    if rank == 1:
        return "Best trial", "@calibrated", 4
    if rank <= trials / 4:
        return "Best quarter", "@score", 2
    return "Other trials", "@muted/0.4", 1


def _choice_axis(cells: Sequence[str]) -> tuple[Float64Array, Ticks]:
    """Return the positions [trials] of the values and the ticks; up to ten distinct values are evenly spaced."""
    numbers = np.array([_number(cell) for cell in cells])
    numeric = not np.isnan(numbers).any()
    if numeric and len(set(cells)) > _MOST_CHOICES:
        return _number_axis(numbers)
    choices = list(dict.fromkeys(sorted(cells, key=_number if numeric else None)))
    places = np.linspace(0, 1, len(choices)) if len(choices) > 1 else np.array([0.5])
    position = dict(zip(choices, places.tolist(), strict=True))
    return np.array([position[cell] for cell in cells]), [(place, _shown(choice)) for choice, place in position.items()]


def _number_axis(values: Float64Array) -> tuple[Float64Array, Ticks]:
    """Return positions [trials] on a scale from the smallest to the largest value, and its ticks."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.full(len(values), 0.5), [(0.5, short_number(low))]
    places = (0.0, 0.25, 0.5, 0.75, 1.0)
    texts = scale_texts([low + place * (high - low) for place in places])
    return (values - low) / (high - low), list(zip(places, texts, strict=True))

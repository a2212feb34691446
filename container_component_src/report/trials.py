"""Tuning trials of the report: their table and plots."""

import io
from html import escape

import numpy as np
import pandas as pd

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


def read_trials(uri: str) -> pd.DataFrame:
    """Read the trials table, with columns `trial`, `state`, `val_loss` and one for each hyperparameter, by trial.

    Raises:
        InputError: The file is missing or not a CSV table, or a column is missing or not numeric.
    """
    content = storage.resolve(uri).read_bytes()
    try:
        trials = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{uri}: not a CSV table ({error})", fix=_FIX) from error
    for column in _REQUIRED:
        if column not in trials.columns:
            raise InputError(f"{uri}: column '{column}' is missing", fix=_FIX)
    for column in ("trial", OBJECTIVE):
        numbers = pd.to_numeric(trials[column], errors="coerce")
        wrong = numbers.isna() & (trials[column] != "")
        if wrong.any():
            row = int(np.argmax(wrong)) + 1
            raise InputError(f"{uri}: column '{column}', row {row} is not a number", fix="correct the table")
        trials[column] = numbers
    return trials.sort_values("trial", kind="stable", ignore_index=True)


def trial_summary(trials: pd.DataFrame) -> str:
    """Return the number of finished trials, the best one, and the hyperparameters that are equal in all of them."""
    finished = trials[np.isfinite(trials[OBJECTIVE])]
    text = f"{len(finished)} of {len(trials)} trials finished."
    if finished.empty:
        return text
    best = finished.loc[finished[OBJECTIVE].idxmin()]
    loss = f"{short_number(best[OBJECTIVE])} nats per time step"
    constant = [f"{name} {_shown(best[name])}" for name in _tuned(trials) if name not in _varied(finished)]
    same = f" The same in all of them: {', '.join(constant)}." if constant else ""
    return f"{text} Trial {int(best['trial'])} has the smallest validation loss, {loss}.{same}"


def trial_figures(trials: pd.DataFrame) -> dict[str, Figure]:
    """Return the objective over the trials, and the parallel coordinates of the hyperparameters that differ.

    Only finished trials are shown; there is no figure without one, and no parallel coordinates if all are equal.
    """
    finished = trials[np.isfinite(trials[OBJECTIVE])].reset_index(drop=True)
    if finished.empty:
        return {}
    parallel = {"parallel": _parallel(finished)} if _varied(finished) else {}
    return {"objective": _objective(finished), **parallel}


def _tuned(trials: pd.DataFrame) -> list[str]:
    """Return the names of the hyperparameters."""
    return [column for column in trials.columns if column not in _NOT_TUNED]


def _varied(trials: pd.DataFrame) -> list[str]:
    """Return the names of the hyperparameters that differ between trials."""
    return [name for name in _tuned(trials) if trials[name].nunique() > 1]


def _shown(cell: str) -> str:
    """Return a hyperparameter with three significant digits, unless it is an integer or no number."""
    number = pd.to_numeric(pd.Series(cell), errors="coerce").item()
    return cell if np.isnan(number) or float(number).is_integer() else short_number(number)


def _objective(trials: pd.DataFrame) -> Figure:
    text = [
        "<br>".join(escape(f"{name} {_shown(cell)}") for name, cell in row.items())
        for _, row in trials[_varied(trials)].iterrows()
    ]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "Trial",
                "x": trials["trial"].tolist(),
                "y": trials[OBJECTIVE].tolist(),
                "text": text,
                "marker": {"color": "@score", "size": 8},
                "hovertemplate": "Trial %{x}: %{y:,.3~r} nats per time step<br>%{text}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": "Best so far",
                "x": trials["trial"].tolist(),
                "y": trials[OBJECTIVE].cummin().tolist(),
                "line": {"color": "@calibrated", "width": 2, "shape": "hv"},
                "hoverinfo": "skip",
            },
        ],
        "layout": {
            "xaxis": count_axis("Trial", int(trials["trial"].max())),
            "yaxis": {"title": {"text": "Validation loss (nats per time step)"}},
        },
    }


def _parallel(trials: pd.DataFrame) -> Figure:
    """Return parallel coordinates drawn with plain lines; the best trial stands out.

    The trace type of plotly.js for parallel coordinates needs WebGL, which many remote desktops lack.
    """
    names = _varied(trials)
    axes = [*(_choice_axis(trials[name]) for name in names), _number_axis(trials[OBJECTIVE].to_numpy(np.float64))]
    labels = [*names, OBJECTIVE]
    data: list[Figure] = []
    order = trials[OBJECTIVE].rank(method="first").astype(int)
    for row in order.sort_values(ascending=False).index:  # the best trial is drawn last, on top
        name, colour, width = _rank_look(int(order[row]), len(trials))
        shown = any(trace["name"] == name for trace in data)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": list(range(len(axes))),
                "y": [float(positions[row]) for positions, _ in axes],
                "text": [escape(f"{label} {_shown(str(trials.loc[row, label]))}") for label in labels],
                "hovertemplate": f"Trial {int(trials.loc[row, 'trial'])}<br>%{{text}}<extra></extra>",
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


def _choice_axis(column: "pd.Series[str]") -> tuple[Float64Array, Ticks]:
    """Return the positions [trials] of the values and the ticks; up to ten distinct values are evenly spaced."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all() and column.nunique() > _MOST_CHOICES:
        return _number_axis(numbers.to_numpy(np.float64))
    keys = numbers if numbers.notna().all() else column
    choices = list(dict.fromkeys(column[keys.sort_values(kind="stable").index]))
    places = np.linspace(0, 1, len(choices)) if len(choices) > 1 else np.array([0.5])
    position = dict(zip(choices, places.tolist(), strict=True))
    return column.map(position).to_numpy(np.float64), [(place, _shown(choice)) for choice, place in position.items()]


def _number_axis(values: Float64Array) -> tuple[Float64Array, Ticks]:
    """Return positions [trials] on a scale from the smallest to the largest value, and its ticks."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.full(len(values), 0.5), [(0.5, short_number(low))]
    places = (0.0, 0.25, 0.5, 0.75, 1.0)
    texts = scale_texts([low + place * (high - low) for place in places])
    return (values - low) / (high - low), list(zip(places, texts, strict=True))

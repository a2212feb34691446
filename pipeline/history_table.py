"""Runs and comparisons of two as tables for a terminal."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipeline.history import Comparison, Pair, PastRun, difference, shared_parameters

_UNKNOWN = "-"
_COMMIT_DIGITS, _ID_DIGITS = 8, 8
_DIRTY = "-dirty"
_LONGEST = 30  # characters of a parameter's value
_STYLES = {
    "succeeded": "green",
    "failed": "bold red",
    "interrupted": "magenta",
    "killed": "magenta",
    "running": "yellow",
}


def show_runs(runs: Sequence[PastRun], console: Console) -> None:
    """Print runs, one a row, and below them the parameters that are the same in all of them."""
    shared = shared_parameters(runs)
    table = Table(show_edge=False, pad_edge=False)
    for column, options in _COLUMNS.items():
        table.add_column(column, **options)
    for run in runs:
        table.add_row(*_row(run, shared))
    console.print(table)
    if shared:
        console.print(Text(f"\nchanged in all runs: {_assignments(shared)}"), soft_wrap=True)


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Print how two runs differ."""
    runs = comparison.runs
    facts: dict[str, Pair] = {
        "started": _both(runs, _started),
        "status": _both(runs, lambda run: run.status),
        "deployed": _both(runs, lambda run: _yes_or_no(run.deployed)),
        "commit": _both(runs, lambda run: run.commit or _UNKNOWN),
        "image": _both(runs, lambda run: run.image or _UNKNOWN),
    }
    _print(_table("run", runs, facts), console)
    changed = {name: _both_of(pair, _default_or) for name, pair in comparison.parameters.items()}
    _print(_table("parameters that differ", runs, changed), console)
    metrics = Table("metric", *(_heading(run) for run in runs), show_edge=False, pad_edge=False)
    metrics.add_column("difference", justify="right")
    for name, pair in comparison.metrics.items():
        values = [_with_interval(name, run.metrics) for run in runs]
        metrics.add_row(name, *values, _number(difference(pair), sign=True))
    _print(metrics, console)
    _print(_table("data", runs, {name: _both_of(pair, _text) for name, pair in comparison.data.items()}), console)
    seconds = Table("step", *(_heading(run) for run in runs), show_edge=False, pad_edge=False)
    seconds.add_column("difference", justify="right")
    for name, pair in comparison.seconds.items():
        cells = [_seconds(run, name) for run in runs]
        seconds.add_row(Text(name), *cells, _number(difference(pair), sign=True, digits=1))
    _print(seconds, console)
    for run in runs:
        for kind, place in (("report", run.report), ("logs", run.logs)):
            console.print(Text(f"{kind} of {_short(run)}  {place or 'none'}"), soft_wrap=True)


_COLUMNS: Mapping[str, Any] = {
    "started": {"no_wrap": True},
    "run": {"no_wrap": True},
    "status": {"no_wrap": True},
    "composite F1": {"justify": "right"},
    "events found": {"justify": "right"},
    "alarms a day (false)": {"justify": "right"},
    "deployed": {},
    "commit": {"no_wrap": True},
    "changed parameters": {"overflow": "fold"},
}


def _row(run: PastRun, shared: Mapping[str, Any]) -> list[Text]:
    metrics = run.metrics
    rate, false = metrics.get("alarms_per_day"), metrics.get("false_alarms_per_day")
    own = {name: value for name, value in (run.parameters or {}).items() if name not in shared}
    commit = run.commit.removesuffix(_DIRTY)[:_COMMIT_DIGITS] + ("+" if run.commit.endswith(_DIRTY) else "")
    cells = [
        _started(run),
        _short(run),
        run.status,
        _number(metrics.get("composite_f1")),
        _number(metrics.get("event_recall")),
        f"{_number(rate, digits=2)} ({_number(false, digits=2)})" if rate is not None else _UNKNOWN,
        _yes_or_no(run.deployed),
        commit or _UNKNOWN,
        _UNKNOWN if run.parameters is None else _assignments(own),
    ]
    return [Text(cell, style=_STYLES.get(cell, "")) for cell in cells]


def _table(title: str, runs: Sequence[PastRun], rows: Mapping[str, Pair]) -> Table:
    table = Table(title, *(_heading(run) for run in runs), show_edge=False, pad_edge=False)
    for name, pair in rows.items():
        table.add_row(Text(name), *(Text(str(value)) for value in pair))
    return table


def _print(table: Table, console: Console) -> None:
    if table.row_count:
        console.print(table)
        console.print()


def _heading(run: PastRun) -> str:
    return escape(_short(run))


def _short(run: PastRun) -> str:
    return run.id[:_ID_DIGITS] if len(run.id) > 2 * _ID_DIGITS else run.id


def _started(run: PastRun) -> str:
    return f"{run.started.astimezone():%Y-%m-%d %H:%M}" if run.started else _UNKNOWN


def _yes_or_no(known: bool | None) -> str:
    return _UNKNOWN if known is None else "yes" if known else "no"


def _number(value: float | None, *, sign: bool = False, digits: int = 3) -> str:
    return _UNKNOWN if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def _with_interval(name: str, metrics: Mapping[str, float]) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    interval = "" if low is None or high is None else f" ({_number(low)} to {_number(high)})"
    return _number(metrics.get(name)) + interval


def _seconds(run: PastRun, name: str) -> str:
    step = next((step for step in run.steps if step.name == name), None)
    if step is None:
        return _UNKNOWN
    return _number(step.seconds, digits=1) + ("" if step.status == "succeeded" else f" ({step.status})")


def _assignments(parameters: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in parameters.items())


def _default_or(value: Any) -> str:
    return "default" if value is None else _text(value)


def _text(value: Any) -> str:
    """Return a value as text, the number of its entries if it is long."""
    if value is None:
        return _UNKNOWN
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > _LONGEST and isinstance(value, dict | list):
        return f"({len(value)} entries)"
    return text


def _both(runs: Sequence[PastRun], read: Callable[[PastRun], str]) -> Pair:
    first, second = runs
    return read(first), read(second)


def _both_of(pair: Pair, show: Callable[[Any], str]) -> Pair:
    return show(pair[0]), show(pair[1])

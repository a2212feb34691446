"""The results as one HTML file: rows against seconds and memory, both logarithmic."""

from pathlib import Path

import plotly.graph_objects as go
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from benchmarks.results import Results, StageResult
from benchmarks.table import MEBIBYTE


def write_plot(results: Results, file: Path) -> None:
    """Write the plot with all that it needs inside."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=("Seconds (dotted: floor)", "Peak memory of all processes"))
    for position, name in enumerate(dict.fromkeys(result.stage for result in results.stages)):
        of_stage = sorted((result for result in results.stages if result.stage == name), key=lambda item: item.rows)
        _add_stage(figure, of_stage, qualitative.Dark24[position])
    figure.update_xaxes(type="log", title="rows", dtick=1, exponentformat="SI")
    figure.update_yaxes(type="log", title="seconds", col=1)
    figure.update_yaxes(type="log", title="MiB", col=2)
    facts = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    figure.update_layout(template="plotly_white", title=f"Stages by rows, {results.date} ({facts})")
    figure.write_html(file, include_plotlyjs=True)


def _add_stage(figure: go.Figure, results: list[StageResult], color: str) -> None:
    name, rows = results[0].stage, [result.rows for result in results]
    shared = {"x": rows, "name": name, "legendgroup": name, "mode": "lines+markers"}
    seconds = [result.seconds for result in results]
    memory = [result.tree_bytes / MEBIBYTE for result in results]
    figure.add_scatter(**shared, y=seconds, line={"color": color}, row=1, col=1)
    figure.add_scatter(**shared, y=memory, line={"color": color}, showlegend=False, row=1, col=2)
    if all(result.floor for result in results):
        floor = [result.floor_seconds for result in results]
        figure.add_scatter(**shared, y=floor, line={"color": color, "dash": "dot"}, showlegend=False, row=1, col=1)

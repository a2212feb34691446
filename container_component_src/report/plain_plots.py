"""Plots for pages without the script of the report: self-contained, and in the colours of its light theme."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup
from plotly.io import to_html

from container_component_src.report.rendering import verbatim
from container_component_src.report.traces import Figure

_COLOUR = re.compile(r"--plot-(\w+): #(\w{6});")


def plain_plots(figures: Iterable[Figure]) -> list[Markup]:
    """Return figures as HTML; the first one has plotly.js inside, so a page needs no network."""
    colours = _light_colours()
    return [
        Markup(  # noqa: S704 (plotly escapes "<" and "/")
            to_html(
                {**figure, "layout": {"template": "plotly_white", "height": 420, **figure["layout"]}},
                include_plotlyjs=number == 0,
                full_html=False,
                config={"displaylogo": False},
            )
        )
        for number, figure in enumerate(_coloured(figure, colours) for figure in figures)
    ]


def _light_colours() -> dict[str, str]:
    """Return the colours of the light theme, which comes first in the style sheet of the report."""
    return dict(reversed(_COLOUR.findall(verbatim("style.css"))))


def _coloured(value: Any, colours: Mapping[str, str]) -> Any:
    """Replace `@name` and `@name/opacity` by colours, as the script of the report does."""
    if isinstance(value, str) and value.startswith("@"):
        name, _, opacity = value[1:].partition("/")
        red, green, blue = bytes.fromhex(colours[name])
        return f"rgba({red},{green},{blue},{opacity or 1})"
    if isinstance(value, list):
        return [_coloured(item, colours) for item in value]
    if isinstance(value, dict):
        return {key: _coloured(item, colours) for key, item in value.items()}
    return value

"""Tuning trials as an HTML page of their own, which is available before the report."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from plotly.io import to_html

from container_component_src import storage
from container_component_src.report.rendering import render, verbatim
from container_component_src.report.trials import read_trials, trial_figures, trial_summary

_COLOUR = re.compile(r"--plot-(\w+): #(\w{6});")


def write_trials_page(trials_uri: str, page_uri: str) -> dict[str, Any]:
    """Write a page with the plots of the trials; it needs no network.

    Args:
        trials_uri: CSV table of the trials.
        page_uri: Output HTML file.

    Returns:
        Metadata that the pipeline shows beside the artifact.

    Raises:
        InputError: The table is missing or damaged.
    """
    trials = read_trials(trials_uri)
    colours = _light_colours()
    plots = [
        Markup(  # noqa: S704 (plotly escapes "<" and "/")
            to_html(
                {**figure, "layout": {"template": "plotly_white", "height": 420, **figure["layout"]}},
                include_plotlyjs=number == 0,
                full_html=False,
                config={"displaylogo": False},
            )
        )
        for number, figure in enumerate(_coloured(figure, colours) for figure in trial_figures(trials).values())
    ]
    page = render("trials_page.html.jinja", trial_summary=trial_summary(trials), plots=plots).encode()
    storage.resolve(page_uri).write_bytes(page)
    return {"bytes": len(page), "trials": len(trials)}


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

"""Tuning trials as an HTML page of their own, which is available before the report."""

from typing import Any

from container_component_src import storage
from container_component_src.report.plain_plots import plain_plots
from container_component_src.report.rendering import render
from container_component_src.report.trials import read_trials, trial_figures, trial_summary


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
    plots = plain_plots(trial_figures(trials).values())
    page = render("trials_page.html.jinja", trial_summary=trial_summary(trials), plots=plots).encode()
    storage.resolve(page_uri).write_bytes(page)
    return {"bytes": len(page), "trials": len(trials)}

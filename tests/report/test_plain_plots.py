"""Plots without the script of the report."""

from container_component_src.report.plain_plots import plain_plots


def test_plotly_is_inside_once_and_colours_are_those_of_the_light_theme() -> None:
    figure = {"data": [{"marker": {"color": "@score/0.5"}, "x": ["@missed"]}], "layout": {"title": "</script><b>"}}
    first, second = plain_plots([figure, figure])
    assert len(first) > 1_000_000 > len(second)
    assert "rgba(0,114,178,0.5)" in second
    assert "rgba(196,60,0,1)" in second
    assert "</script><b>" not in second

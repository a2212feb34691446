"""HTML templates escape values, embed scripts safely and refuse missing values."""

import re

import pytest
from jinja2 import UndefinedError

from container_component_src.report.rendering import render, verbatim


def test_values_are_escaped() -> None:
    page = render("trials_page.html.jinja", trial_summary="<script>alert(1)</script>", plots=["<b>"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;" in page


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="trial_summary"):
        render("trials_page.html.jinja", plots=[])


@pytest.mark.parametrize("name", ["style.css", "tables.js", "detail.js", "script.js"])
def test_embedded_files_end_no_element(name: str) -> None:
    assert not re.search(r"</(style|script)", verbatim(name))

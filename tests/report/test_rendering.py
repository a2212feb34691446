"""HTML templates escape values, embed scripts safely and refuse missing values."""

import re
import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment, UndefinedError

from container_component_src.report.rendering import CompiledTemplates, render, verbatim


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


def one_template(source: str, folder: Path) -> str:
    environment = Environment(
        loader=DictLoader({"page": source}), autoescape=True, bytecode_cache=CompiledTemplates(str(folder))
    )
    return environment.get_template("page").render()


def test_a_template_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert one_template("{{ 1 + 1 }}", tmp_path) == "2"
    monkeypatch.setattr(Environment, "_generate", None)
    assert one_template("{{ 1 + 1 }}", tmp_path) == "2"


def test_a_changed_template_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    one_template("{{ 1 + 1 }}", tmp_path)
    assert one_template("{{ 1 + 2 }}", tmp_path) == "3"


@pytest.mark.parametrize("folder", ["absent", ""])
def test_a_compiled_template_that_cannot_or_may_not_be_kept_is_used(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", not folder)
    assert one_template("{{ 1 + 1 }}", tmp_path / folder) == "2"
    assert not list(tmp_path.iterdir())

"""Modules whose code runs when it is needed."""

import sys
from pathlib import Path

import pytest

from container_component_src.deferred import Deferred, defer, load


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a package with a module `part`; it and its modules are forgotten after the test."""
    name = "deferred_example"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("value = 1\n")
    (tmp_path / name / "part.py").write_text("from deferred_example import value\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    for module in (name, f"{name}.part"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return name


def test_known_names_do_not_load_a_module(package: str) -> None:
    defer(package, {"value": lambda: 2})
    module = sys.modules[package]
    assert (module.value, type(module)) == (2, Deferred)
    assert not hasattr(module, "__missing__")
    assert type(module) is Deferred
    with pytest.raises(AttributeError, match="other"):
        _ = module.other
    assert (module.value, load(package) is module) == (1, True)


def test_what_a_module_relies_on_is_loaded_before_it(package: str) -> None:
    defer(f"{package}.part", {})
    defer(package, {}, relies_on=[f"{package}.part"])
    assert load(package).value == 1
    assert sys.modules[f"{package}.part"].value == 1


def test_modules_that_are_absent_or_imported_are_left_alone() -> None:
    defer("no_such_package.part", {})
    defer("json", {})
    assert "no_such_package.part" not in sys.modules
    assert not isinstance(sys.modules["json"], Deferred)

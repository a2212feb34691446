"""Modules whose code runs when it is needed."""

import sys
from pathlib import Path

import pytest

from container_component_src.deferred import Deferred, class_of, defer, load


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a package with a module `part`; it and its modules are forgotten after the test."""
    name = "deferred_example"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("value = 1\n")
    (tmp_path / name / "part.py").write_text("from deferred_example import value\nclass Table(list): pass\n")
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


def test_a_class_of_a_deferred_module_checks_types_and_makes_instances(package: str) -> None:
    defer(package, {})
    table = class_of(f"{package}.part", "Table")
    assert not isinstance([], table)
    assert isinstance(sys.modules[package], Deferred)
    found = table("ab")
    assert (found, isinstance(found, table)) == (["a", "b"], True)
    assert type(found) is sys.modules[f"{package}.part"].Table

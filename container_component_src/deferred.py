"""Modules whose code runs when it is needed: libraries import much that their users never ask for.

A stand-in takes the place of a module. It has the few names that are asked for all the same; any other name, or an
import of a submodule, loads the module.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

Known = Mapping[str, Callable[[], Any]]  # by name, how to get its value


class Deferred(ModuleType):
    """A package whose own code runs when a name is asked that is not in `known`."""

    known: Known
    relies_on: Sequence[str]

    def __getattr__(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]()
        if name.startswith("__"):  # the import system and `inspect` ask every module for these
            raise AttributeError(name)
        self.load()
        return getattr(self, name)

    def load(self) -> None:
        """Run the code of the package."""
        spec: Any = self.__spec__
        for name in self.relies_on:
            load(name)
        module: Any = self
        module.__class__ = ModuleType  # an ordinary module from here on, as importlib.util.LazyLoader does
        self.__path__ = spec.submodule_search_locations
        spec.loader.exec_module(self)


class _ClassOf(type):
    """Metaclass of a stand-in for a class: instances of the class that it is named after are its instances too."""

    def __instancecheck__(cls, instance: object) -> bool:
        names = (f"{base.__module__}.{base.__qualname__}" for base in type(instance).__mro__)
        return f"{cls.__module__}.{cls.__qualname__}" in names

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        """Return an instance of the class, whose module is loaded."""
        return getattr(load(cls.__module__), cls.__qualname__)(*arguments, **options)


class _Submodules(MetaPathFinder, Loader):
    """Finder of the modules in a deferred package that can only be imported after the package."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Load the package of a module and the module; return None for all other modules."""
        package = sys.modules.get(name.rpartition(".")[0])
        if not isinstance(package, Deferred) or package.__path__:
            return None
        package.load()
        import_module(name)
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the imported module."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Leave the imported module as it is."""


def defer(name: str, known: Known, *, relies_on: Sequence[str] = (), parts: bool = False) -> None:
    """Defer a module, unless it is imported already, or not installed.

    Args:
        name: Full name of the module.
        known: Names that the stand-in has, besides those of the import system.
        relies_on: Deferred modules to load before this one, since it does not ask for what they register.
        parts: Whether submodules can be imported without the module.
    """
    spec = None if name in sys.modules else _find(name)
    if spec is None:
        return
    stand_in = module_from_spec(spec)
    stand_in.__class__ = Deferred
    path = spec.submodule_search_locations if parts else []
    stand_in.__dict__.update(known=known, relies_on=relies_on, __path__=path)
    sys.modules[name] = stand_in
    if not any(isinstance(finder, _Submodules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Submodules())


def class_of(module: str, name: str) -> type:
    """Return a stand-in for a class of a deferred module: for annotations, checks of types, and to make instances."""
    return _ClassOf(name, (), {"__module__": module})


def load(name: str) -> ModuleType:
    """Return a module after running its code, if that is still deferred."""
    module = import_module(name)
    if isinstance(module, Deferred):
        module.load()
    return module


def _find(name: str) -> ModuleSpec | None:
    """Find a module without importing the packages above it."""
    package, _, _ = name.rpartition(".")
    above = _find(package) if package else None
    return PathFinder.find_spec(name, above.submodule_search_locations if above else None)

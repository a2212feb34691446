"""Torch and Lightning without what they import for other models than ours: torch's compiler, most of torchmetrics.

They take more than half of the start of a training, which tuning pays for every trial. Lightning needs one class of
torchmetrics, and the compiler only to recognize compiled models; torch's optimizers call the compiler only to keep it
away from them. Packages that know so much take their place, and load the rest when anything else is asked. Exporting a
model, and what computes the shapes of tensors without data (`_meta_registrations`), are parts of the compiler.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

Known = Mapping[str, Callable[[], Any]]  # by name, how to get its value


class _ByName(type):
    """Metaclass of a stand-in for a class: instances of the class that it is named after are its instances too."""

    def __instancecheck__(cls, instance: object) -> bool:
        names = (f"{base.__module__}.{base.__qualname__}" for base in type(instance).__mro__)
        return f"{cls.__module__}.{cls.__qualname__}" in names


class Deferred(ModuleType):
    """A package whose own code runs when a name is asked that is not in `known`."""

    known: Known

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
        if spec.name == "torch._dynamo":
            import_module("torch._meta_registrations").load()  # nothing asks for it, but the compiler relies on it
        # An ordinary module from here on, as importlib.util.LazyLoader does; mypy takes __class__ for fixed.
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__path__ = spec.submodule_search_locations
        spec.loader.exec_module(self)


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


def _unchanged(function: Any = None, *_: object, **__: object) -> Any:
    """Return a function, or a decorator that returns it."""
    return function or _unchanged


OptimizedModule = _ByName("OptimizedModule", (), {"__module__": "torch._dynamo.eval_frame"})
COMPILER_PARTS = ("torch.export", "torch._meta_registrations")
COMPILER: Known = {
    "OptimizedModule": lambda: OptimizedModule,
    "disable": lambda: _unchanged,
    "graph_break": lambda: _unchanged,
}
METRICS: Known = {
    "_logger": lambda: logging.getLogger("torchmetrics"),
    "Metric": lambda: import_module("torchmetrics.utilities.checks").Metric,
    "MetricCollection": lambda: import_module("torchmetrics.collections").MetricCollection,
}


def install() -> None:
    """Defer the packages, unless they have been imported already."""
    torch = find_spec("torch")  # the spec of torch._dynamo would import torch
    if torch and "torch" not in sys.modules:
        for name, known in {"torch._dynamo": COMPILER, **dict.fromkeys(COMPILER_PARTS, {})}.items():
            _defer(PathFinder.find_spec(name, torch.submodule_search_locations), known, [])
    metrics = find_spec("torchmetrics")
    _defer(metrics, METRICS, metrics.submodule_search_locations if metrics else None)
    sys.meta_path.insert(0, _Submodules())


def _defer(spec: ModuleSpec | None, known: Known, path: list[str] | None) -> None:
    if spec is None or spec.name in sys.modules:
        return
    package = module_from_spec(spec)
    package.__class__ = Deferred
    package.__dict__.update(known=known, __path__=path)
    sys.modules[spec.name] = package

"""Torch and Lightning without what they import for other models than ours: torch's compiler, most of torchmetrics.

They take more than half of the start of a training, which tuning pays for every trial. Lightning needs one class of
torchmetrics, and the compiler only to recognize compiled models; torch's optimizers call the compiler only to keep it
away from them, and distributed training to ask for its mode and to clear its caches. Stand-ins know so much. Exporting
a model, and what computes the shapes of tensors without data (`_meta_registrations`), serve the compiler. Nothing here
quantizes a model, masks a tensor or draws from a distribution.
"""

import logging
from importlib import import_module
from typing import Any

from container_component_src.deferred import Known, class_of, defer, load


class _Part:
    """Module of the compiler of which some functions are known; any other name loads the compiler."""

    def __init__(self, name: str, **known: Any) -> None:
        self._name = name
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        load("torch._dynamo")
        return getattr(import_module(self._name), name)


def _unchanged(function: Any = None, *_: object, **__: object) -> Any:
    """Return a function, or a decorator that returns it."""
    return function or _unchanged


OptimizedModule = class_of("torch._dynamo.eval_frame", "OptimizedModule")
COMPILER: Known = {
    "OptimizedModule": lambda: OptimizedModule,
    "disable": lambda: _unchanged,
    "graph_break": lambda: _unchanged,
    # Where nothing is compiled, the mode is without effect.
    "utils": lambda: _Part("torch._dynamo.utils", get_optimize_ddp_mode=lambda: "no_optimization"),
    "trace_rules": lambda: _Part("torch._dynamo.trace_rules", clear_lru_cache=lambda: None),
}
_UNUSED = (
    *("torch.ao", "torch.nn.intrinsic", "torch.nn.qat", "torch.nn.quantizable", "torch.nn.quantized"),
    *("torch.distributions", "torch.export", "torch.masked", "torch.quantization"),
)
METRICS: Known = {
    "_logger": lambda: logging.getLogger("torchmetrics"),
    "Metric": lambda: import_module("torchmetrics.utilities.checks").Metric,
    "MetricCollection": lambda: import_module("torchmetrics.collections").MetricCollection,
}


def install() -> None:
    """Defer the packages, unless they have been imported already."""
    defer("torch._dynamo", COMPILER, relies_on=["torch._meta_registrations"])
    defer("torch._meta_registrations", {})
    for package in _UNUSED:
        defer(package, {})
    defer("torchmetrics", METRICS, parts=True)

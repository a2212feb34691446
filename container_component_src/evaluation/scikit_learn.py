"""What the baselines need of scikit-learn, imported without what other estimators need.

That is most of the import: pandas, much of SciPy, NumPy's generator of wrappers, the packages around the modules of
these estimators, and a progress bar. The estimators here take arrays and call none of it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from container_component_src.deferred import defer, load

# Names that scikit-learn imports from them.
_UNUSED: dict[str, tuple[str, ...]] = {
    "numpy.f2py": (),
    "scipy.integrate": ("trapezoid",),
    "scipy.interpolate": ("BSpline",),
    "scipy.optimize": ("line_search_wolfe1", "line_search_wolfe2", "linear_sum_assignment"),
    "scipy.spatial.transform": (),
    "scipy.stats": ("chi2", "gmean", "rankdata", "spearmanr"),
    "sklearn.callback._progressbar": ("ProgressBar",),
}
_PACKAGES = (
    "sklearn.cluster",
    "sklearn.decomposition",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.neighbors",
)


class _Unused:
    """Function, class or distribution of a module, which is loaded when it is used after all."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(load(self._module), self._name)(*arguments, **options)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(load(self._module), self._name), attribute)


@contextmanager
def _without_pandas() -> Iterator[None]:
    """Let scikit-learn, which works without pandas, not find it; whoever imports it later does."""
    if "pandas" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # type: ignore[assignment] # an import fails
    try:
        yield
    finally:
        del sys.modules["pandas"]


for module, names in _UNUSED.items():
    defer(module, {name: partial(_Unused, module, name) for name in names})
np.f2py = sys.modules["numpy.f2py"]  # where NumPy looks for it: SciPy takes all names of NumPy
for package in _PACKAGES:
    defer(package, {}, parts=True)
with _without_pandas():
    from sklearn.cluster._kmeans import MiniBatchKMeans
    from sklearn.decomposition._pca import PCA
    from sklearn.ensemble._iforest import IsolationForest

__all__ = ["PCA", "IsolationForest", "MiniBatchKMeans"]

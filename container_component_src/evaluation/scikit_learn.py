"""What the baselines need of scikit-learn, imported without pandas and SciPy's statistics.

These are half of the import. The estimators here take arrays and call no function of `scipy.stats`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from container_component_src.deferred import defer, load


class _Statistic:
    """Function or distribution of `scipy.stats`, which is loaded when it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(load("scipy.stats"), self._name)(*arguments, **options)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(load("scipy.stats"), self._name), attribute)


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


defer("scipy.stats", {name: partial(_Statistic, name) for name in ("chi2", "gmean", "rankdata", "spearmanr")})
with _without_pandas():
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest

__all__ = ["PCA", "IsolationForest", "MiniBatchKMeans"]

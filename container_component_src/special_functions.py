"""Special functions of SciPy, imported without the rest of `scipy.special`, which takes several times as long."""

from container_component_src.deferred import defer

defer("scipy.special", {}, parts=True)
from scipy.special._ufuncs import gammaincinv, kolmogorov  # noqa: E402 - after the rest is deferred

__all__ = ["gammaincinv", "kolmogorov"]

"""The functions are those of SciPy, whose other functions are still there."""

import scipy.special

from container_component_src import special_functions


def test_the_functions_are_those_of_scipy() -> None:
    for name in special_functions.__all__:
        assert getattr(special_functions, name) is getattr(scipy.special, name)
    assert scipy.special.gammaln(4.0) == scipy.special.loggamma(4.0).real

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from container_component_src.errors import InputError
from container_component_src.values import Frozen, canonical, innermost, validated
from tests.helpers import Counting


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1000M", "1G"), ("1024M", "1024M"), ("0.5", "500m"), ("1.0", "1"),
        ("2500m", "2500m"), ("1000m", "1"), ("0Gi", "0"), ("0.5Ki", "512"), ("2000", "2k"),
    ],
)  # fmt: skip
def test_quantities_are_written_as_kubernetes_does(text: str, written: str) -> None:
    assert canonical(text) == written


@given(st.integers(0, 10**6), st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_the_amount_is_the_same_and_the_form_final(number: int, suffix: str) -> None:
    written = canonical(f"{number}{suffix}")
    assert parse_quantity(written) == parse_quantity(f"{number}{suffix}")
    assert canonical(written) == written


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "-1", "1GB", "1ki", "0.0001"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Kubernetes"):
        canonical(text)


class Inner(Frozen):
    sizes: tuple[int, ...]


class Outer(Frozen):
    inner: Inner | int


class ManyErrors:
    """Takes the place of a ValidationError."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def errors(self, include_url: bool) -> list[dict[str, Any]]:
        return [{"loc": (name, "inner"), "msg": ""} for name in self._names]


def test_an_object_with_errors_inside_is_not_an_error_itself() -> None:
    with pytest.raises(InputError) as error:
        validated(Outer, {"inner": {"sizes": [1, "x"]}})
    assert "sizes[1]" in str(error.value)
    with pytest.raises(InputError, match=r"key 'sizes\[0\]' is wrong: .*; key 'sizes\[9\]' .*; and 90 more$"):
        validated(Inner, {"sizes": ["x"] * 100})


def test_many_errors_take_one_pass() -> None:
    names: list[str] = [Counting(f"key {number}") for number in range(3_000)]
    with Counting.few(20 * len(names)):
        assert len(innermost(cast(Any, ManyErrors(names)))) == len(names)

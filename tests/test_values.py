import pwd
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity
from pydantic import TypeAdapter, ValidationError

from container_component_src.arrays import Float64Array
from container_component_src.errors import InputError
from container_component_src.values import (
    Cpu,
    Frozen,
    Memory,
    amount,
    canonical,
    in_home,
    innermost,
    parse_json,
    shown,
    validated,
)
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


@pytest.mark.parametrize("text", ["2Gi", "1.5Gi", "3M", "500m", "7", "0.5Ki", "2Ei"])
def test_amount_is_that_of_kubernetes(text: str) -> None:
    assert amount(text) == int(parse_quantity(text))


@pytest.mark.parametrize(
    "text", ["", "much", "1 Gi", "-1", "1GB", "1ki", "0.0001", "9" * 20 + "Gi", "9" * 38, "8Ei", "٣"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Kubernetes"):
        canonical(text)


@pytest.mark.parametrize(
    "kind, valid, invalid",
    [
        (Cpu, ["500m", "1", "0.5", "999"], ["0", "1Gi", "1k", "2000", "0.0001", ""]),
        (Memory, ["1Gi", "512Mi", "1.5Gi", "2G", "1048577"], ["0", "1k", "100m", "1", "10Ki", "9" * 20 + "Gi"]),
    ],
)
def test_cores_and_memory(kind: Any, valid: list[str], invalid: list[str]) -> None:
    for text in valid:
        assert TypeAdapter(kind).validate_python(text) == canonical(text)
    for text in invalid:
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, f"[{'9' * 5000}]"])
def test_texts_that_are_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{1,60}$"):
        parse_json(text)


def test_messages_repeat_values_in_short_and_without_logins() -> None:
    assert shown("a") == "'a'"
    assert len(shown("a" * 1000)) < 120
    assert shown("s3://me:sEcReT@bucket/a") == "'s3://***@bucket/a'"
    assert shown("me:sEcReT@host:9") == "'***@host:9'"
    assert str(InputError("http://me:sEcReT@host/a?b=c@d failed")) == "http://***@host/a?b=c@d failed"


def test_home_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (in_home("~"), in_home("~/a")) == (str(tmp_path), f"{tmp_path}/a")
    assert in_home("~root/a") == f"{pwd.getpwnam('root').pw_dir}/a"
    assert [in_home(path) for path in ("a/~", "~no-such-user/a", "")] == ["a/~", "~no-such-user/a", ""]


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


class Keeping(Frozen):
    numbers: tuple[float, ...]

    @cached_property
    def array(self) -> Float64Array:
        return np.array(self.numbers)


def test_values_that_keep_arrays_are_equal_if_their_fields_are() -> None:
    first, second, other = Keeping(numbers=(1, 2)), Keeping(numbers=(1, 2)), Keeping(numbers=(1, 3))
    assert [len(value.array) for value in (first, second, other)] == [2, 2, 2]
    assert first == second
    assert hash(first) == hash(second)
    assert first != other

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from container_component_src.values import amount, canonical


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


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "-1", "1GB", "1ki", "0.0001"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Kubernetes"):
        canonical(text)

import pytest
import torch

from tests.helpers import found_by

CODE = """
import torch
from container_component_src.model.reproducible import use_strict_products
assert use_strict_products()
values, weights = torch.randn(1024, 905), torch.randn(128, 905)
found = 0
for threads in (1, 2, 3):
    torch.set_num_threads(threads)
    product = values @ weights.T
    for rows in (1, 2, 3, 5, 8, 13, 31, 33, 64, 65, 192, 640, 1023):
        found += int((values[:rows] @ weights.T != product[:rows]).sum())
    if threads == 1:
        first = product
    found += int((first != product).sum())
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="PyTorch multiplies by another library than MKL")
def test_products_do_not_depend_on_rows_and_threads() -> None:
    assert found_by(CODE) == 0

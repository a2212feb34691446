from pathlib import Path

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

TRAINING = """
from itertools import cycle
from pathlib import Path
import torch
from container_component_src.model import hardware
from container_component_src.model.training import train
from tests.model.datasets import make_values, write_dataset
from tests.model.test_training import make_arguments
folder = Path(FOLDER)
write_dataset(folder / "train", make_values(3000, 1))
arguments = make_arguments(
    folder, window_steps=50, batch_size=1024, latent_dim=16, hidden_dims=(128, 64), detector="ensemble"
)
weights, hardware._LOOK_SECONDS = set(), 0.0
for numbers in ((1,), (2,), (3, 1, 2)):
    torch.set_num_threads(numbers[0])
    number = cycle(numbers)
    hardware.useful_threads = lambda *_: next(number)
    train(arguments)
    weights.add((folder / "bundle" / "model.safetensors").read_bytes())
found = len(weights) - 1
"""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="PyTorch multiplies by another library than MKL"),
]


def test_products_do_not_depend_on_rows_and_threads() -> None:
    assert found_by(CODE) == 0


def test_weights_do_not_depend_on_threads(tmp_path: Path) -> None:
    assert found_by(f"FOLDER = {str(tmp_path)!r}{TRAINING}") == 0

import pytest
import torch

from container_component_src.model.device_copies import copied_ahead
from container_component_src.model.hardware import best_device


@pytest.mark.gpu
def test_blocks_are_copied_to_the_gpu() -> None:
    blocks = [[torch.rand(rows, 3), torch.rand(1, 3)] for rows in (5, 1, 7, 100_000, 2, 3, 4)]
    copies = list(copied_ahead(iter(blocks), best_device()))
    for block, copy in zip(blocks, copies, strict=True):
        for rows, copied in zip(block, copy, strict=True):
            assert copied.device.type == "cuda"
            torch.testing.assert_close(copied.cpu(), rows, rtol=0, atol=0)

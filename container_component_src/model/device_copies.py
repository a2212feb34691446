"""Blocks of tensors that are copied to a GPU ahead."""

from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from container_component_src.ahead import ahead

BLOCKS_AHEAD = 2  # one is copied while the one before it waits


def copied_ahead(blocks: Iterator[Sequence[Tensor]], device: torch.device) -> Iterator[list[Tensor]]:
    """Yield blocks of tensors on a GPU, which are copied there while it works on those before them.

    Args:
        blocks: Each of one or several tensors on the CPU.
        device: The GPU.
    """
    stream, used = torch.cuda.Stream(device), deque[torch.cuda.Event]()
    for copies, copied in ahead((_copied(block, stream) for block in blocks), BLOCKS_AHEAD):
        current = torch.cuda.current_stream(device)
        current.wait_event(copied)
        for copy in copies:
            copy.record_stream(current)  # whose work it has to outlive
        yield copies
        used.append(current.record_event())
        if len(used) > BLOCKS_AHEAD:  # otherwise all blocks could lie on the GPU, and wait for it
            used.popleft().synchronize()


def _copied(block: Sequence[Tensor], stream: torch.cuda.Stream) -> tuple[list[Tensor], torch.cuda.Event]:
    """Start to copy a block, and return the copies and the event of their end."""
    with torch.cuda.stream(stream):
        copies = [part.pin_memory().to(stream.device, non_blocking=True) for part in block]
        return copies, stream.record_event()

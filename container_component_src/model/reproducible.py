"""Outputs of a network whose rows do not depend on how many rows and threads there are."""

import ctypes
import logging
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch

from container_component_src.model.network import Network

_LIBRARY = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
_SET, _GET = "mkl_serv_cbwr_set", "mkl_serv_cbwr_get"
_AUTO, _STRICT = 2, 0x10000  # constants of MKL's header: the instructions of this processor, in the strict mode
_ALL = -1
_BLOCK_ROWS = 64  # of the kernels of matrix products, which treat fewer rows in another way
_FEWER_ROWS = (1, 3, 7, 15, 31, 63)

logger = logging.getLogger(__name__)


@cache
def use_strict_products() -> bool:
    """Let Intel's MKL, which multiplies matrices for PyTorch on a CPU, round each row in the same way in every product.

    Otherwise the order in which it adds depends on the number of rows and threads. Source: Intel oneMKL Developer
    Guide, "Obtaining Numerically Reproducible Results", strict mode. It works before the first product only, and costs
    nothing that can be measured.

    Returns:
        Whether the mode is on. It is not where PyTorch has another library, or has multiplied before.
    """
    try:
        library = ctypes.CDLL(str(_LIBRARY))  # it is loaded, and only looked up
        getattr(library, _SET)(_AUTO | _STRICT)
        return bool(getattr(library, _GET)(_ALL) & _STRICT)
    except (OSError, AttributeError) as error:
        logger.debug("no strict mode of matrix products: %s", error)
        return False


@lru_cache(maxsize=4)
def rows_of_blocks(network: Network, inputs: int) -> int:
    """Return 1 if a network on a CPU rounds each row in the same way among any number of rows, otherwise 64.

    Strict products do so on processors with AVX2 or AVX-512. As others do not, and PyTorch may have another library
    than MKL, it is tried. What is not equal for blocks of 1 often is for blocks of 64, which take longer.

    Args:
        network: The network.
        inputs: Number of values of a window.
    """
    windows = torch.from_numpy(np.random.default_rng(0).standard_normal((_BLOCK_ROWS, inputs), dtype=np.float32))
    whole = network(windows)
    pairs = (pair for rows in _FEWER_ROWS for pair in zip(network(windows[:rows]), whole, strict=True))
    return 1 if all(torch.equal(alone, among[: len(alone)]) for alone, among in pairs) else _BLOCK_ROWS

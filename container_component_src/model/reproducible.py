"""Matrix products whose rows do not depend on how many rows and threads there are."""

import ctypes
import logging
from functools import cache
from pathlib import Path

import torch

_LIBRARY = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
_SET, _GET = "mkl_serv_cbwr_set", "mkl_serv_cbwr_get"
_AUTO, _STRICT = 2, 0x10000  # constants of MKL's header: the instructions of this processor, in the strict mode
_ALL = -1

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

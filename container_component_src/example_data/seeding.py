"""Independent random streams, each reached by name, so that none shifts when another draws more."""

import zlib

import numpy as np


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """Return the generator of the stream at `path` below `seed`, in the same state on every call."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return np.random.default_rng([seed, *words])

"""Independent random streams by name, so that the use of one does not change the others."""

import zlib

import numpy as np


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """Return a new generator of the stream with a path of names or numbers; equal arguments give equal numbers."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return np.random.default_rng([seed, *words])

"""Seeded draws that depend on a key alone, so that they are the same however the rows are partitioned."""

import numpy as np
import numpy.typing as npt


def uniform(keys: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.float64]:
    """One number in [0, 1) for every key, by the mixing function of SplitMix64.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", doi:10.1145/2660193.2660195.

    Args:
        keys: Any shape.
        seed: Different seeds give independent draws.

    Returns:
        The same shape as `keys`.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        mixed = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(2 * seed + 1)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53

"""Seeded random numbers that depend on a key alone, so that they are the same for every partitioning of the rows."""

import numpy as np

from container_component_src.arrays import Float64Array, IntArray


def uniform(keys: IntArray, seed: int) -> Float64Array:
    """Return one number in [0, 1) for every key, by the mixing function of SplitMix64.

    Source: Steele, Lea & Flood 2014, "Fast Splittable Pseudorandom Number Generators", doi:10.1145/2660193.2660195.

    Args:
        keys: Any shape.
        seed: Different seeds give independent numbers.

    Returns:
        The shape of `keys`.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64
        mixed = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(2 * seed + 1)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53

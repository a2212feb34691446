"""Work and memory of manifests, listing, planning and passes over the data grow no faster than the partitions."""

import pytest

from benchmarks.scale_simulation import GROWTH, PLANNING, PROCESSING, work_of

SLACK = 1.25  # of linear growth: an even share of what happens at each power of two
FIXED_CALLS, FIXED_BYTES = 1_500, 2**19  # whatever the number of partitions
PARTITIONS = 100_000
MOST_BYTES = 2 * 2**30


@pytest.mark.parametrize(("name", "count"), [*((name, 200) for name in PLANNING), *((name, 12) for name in PROCESSING)])
def test_work_and_memory_grow_no_faster_than_the_partitions(name: str, count: int) -> None:
    small, large = (work_of(*{**PLANNING, **PROCESSING}[name], size) for size in (count, GROWTH * count))
    assert large.calls < SLACK * GROWTH * small.calls + FIXED_CALLS
    assert large.peak_bytes < SLACK * GROWTH * small.peak_bytes + FIXED_BYTES
    if name in PLANNING:
        assert large.peak_bytes * PARTITIONS / (GROWTH * count) < MOST_BYTES

"""The metrics of the programs that are not servers, from what these programs register."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from container_component_src.drift.detection import find_drift
from container_component_src.drift.metrics import registry_of
from container_component_src.stream.counts import REASONS, Counts
from tests.drift.cases import info_with_references, normal_rows


def of_a_stream() -> tuple[CollectorRegistry, Callable[[], None]]:
    """The metrics of `score_stream`, and a function that lets it score and drop a row."""
    counts = Counts(buffered=lambda: 3)

    def go_on() -> None:
        counts.scored(1, last=time.time_ns(), dead=1)
        counts.latency(0.02)
        counts.alarms(1, goes_on=True)
        for reason in REASONS:
            counts.dropped(reason)

    return counts.registry, go_on


def of_a_check() -> CollectorRegistry:
    """The metrics of `check_drift`."""
    return registry_of(find_drift(info_with_references(), [normal_rows()]), time.time())

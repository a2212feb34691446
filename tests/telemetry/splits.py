"""Random rules and events, for properties of the split."""

from hypothesis import strategies as st

from container_component_src.steps.data import SplitRule
from container_component_src.telemetry.events import Event
from tests.helpers import MINUTE


def rules(longest_block: float) -> st.SearchStrategy[SplitRule]:
    """Return rules with blocks of at most so many hours."""
    return st.builds(
        lambda fractions, **others: SplitRule(**fractions, **others),
        fractions(0.1),
        window_hours=st.floats(0, 5),
        block_hours=st.floats(0.1, longest_block),
        seed=st.integers(0, 2**31),
    )


def fractions(least: float) -> st.SearchStrategy[dict[str, float]]:
    """Return fractions for validation and calibration; no set has less than this ratio of another one."""

    def scaled(val: float, calibration: float, train: float) -> dict[str, float]:
        total = val + calibration + train
        return {"val_fraction": val / total, "calibration_fraction": calibration / total}

    return st.builds(scaled, *[st.floats(least, 1)] * 3)


def events(origin: int, last_start: int) -> st.SearchStrategy[tuple[Event, ...]]:
    """Return up to four events that start up to so many minutes after a time in nanoseconds, or a little before it."""
    event = st.builds(
        lambda start, length: Event(id="x", start=origin + start * MINUTE, end=origin + (start + length) * MINUTE),
        st.integers(-500, last_start),
        st.integers(1, 300),
    )
    return st.lists(event, max_size=4).map(tuple)

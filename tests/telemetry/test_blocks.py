"""The stratified draws of blocks for validation and calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.steps.data import SplitRule
from container_component_src.telemetry.blocks import BlockDraw
from container_component_src.telemetry.events import Event, inside_any
from tests.helpers import MINUTE, nanoseconds
from tests.telemetry.splits import events, fractions, rules

START = nanoseconds("2023-01-01")
MINUTES_PER_HOUR = 60
RULES, EVENTS = rules(50), events(START, 2500)


def _minutes(rows: int) -> np.ndarray:
    return START + np.arange(rows, dtype=np.int64) * MINUTE


def _draw(timestamps: np.ndarray, rule: SplitRule, events: list[Event] | None = None) -> BlockDraw:
    return BlockDraw.over((int(timestamps[0]), int(timestamps[-1])), events or [], rule)


def _hourly(count: int, rule: SplitRule) -> dict[str, np.ndarray]:
    """Draw blocks of an hour, and return which of them are in each set, [count]."""
    hours = START + np.arange(count, dtype=np.int64) * MINUTES_PER_HOUR * MINUTE
    draw = BlockDraw.over((START, START + count * MINUTES_PER_HOUR * MINUTE - 1), [], rule)
    assert draw.count == count
    return draw.sets(hours)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("val", "calibration"), [(0.2, 0.2), (0.2, 0.6), (0.4, 0.4), (0.6, 0.2)])
def test_few_blocks_keep_the_shares(val: float, calibration: float, seed: int) -> None:
    """15 blocks of 75 rows, of which independent draws take anything from none to ten."""
    timestamps = _minutes(1115)
    rule = SplitRule(window_hours=1, block_hours=1.25, val_fraction=val, calibration_fraction=calibration, seed=seed)
    shares = {name: rows.mean() for name, rows in _draw(timestamps, rule).sets(timestamps).items()}
    assert shares == pytest.approx({"train": 1 - val - calibration, "val": val, "calibration": calibration}, abs=0.01)


@given(rule=RULES, rows=st.integers(200, 2500), events=EVENTS)
def test_the_shares_are_kept_within_a_block(rule: SplitRule, rows: int, events: list[Event]) -> None:
    timestamps = _minutes(rows)
    nominal = timestamps[~inside_any(timestamps, events, round(rule.window_hours * MINUTES_PER_HOUR * MINUTE))]
    draw = _draw(timestamps, rule, events)
    rounding = 2 + 2 * len(events)  # rows on the bounds of blocks and windows
    sets, largest = draw.sets(nominal), max(rule.shares.values())
    for name, share in rule.shares.items():
        tolerance = draw.length / MINUTE * (1 if share == largest else 0.5)  # the largest has what the others leave
        blocks = draw.count * min(share, 1 - share)
        assert sets[name].sum() == pytest.approx(share * len(nominal), abs=tolerance + rounding * (1 + blocks))


@given(rule=RULES, events=EVENTS)
def test_blocks_are_equal_and_not_divided(rule: SplitRule, events: list[Event]) -> None:
    timestamps = _minutes(2500)
    draw = _draw(timestamps, rule, events)
    nominal = timestamps[~inside_any(timestamps, events, round(rule.window_hours * MINUTES_PER_HOUR * MINUTE))]
    blocks, sets = draw.blocks(nominal), draw.sets(nominal)
    assert (np.diff(blocks) >= 0).all()
    numbers = [set(blocks[rows].tolist()) for rows in sets.values()]
    assert sum(map(len, numbers)) == len(set(blocks.tolist()))
    assert (np.sum([*sets.values()], axis=0) == 1).all()
    sizes = np.bincount(blocks, minlength=draw.count)
    assert np.ptp(sizes) <= 2 + 2 * len(events)
    assert draw.length <= 1.5 * rule.block_hours * MINUTES_PER_HOUR * MINUTE


@given(rule=RULES, rows=st.integers(200, 2500))
def test_each_set_has_a_block_however_long_the_blocks_shall_be(rule: SplitRule, rows: int) -> None:
    timestamps = _minutes(rows)
    draw = _draw(timestamps, rule.model_copy(update={"block_hours": 1000.0}))
    assert draw.count == np.ceil(1 / min(rule.shares.values()))
    for inside in draw.sets(timestamps).values():
        assert inside.sum() >= draw.length // MINUTE


@given(fractions=fractions(0.01), count=st.integers(210, 100_000), seed=st.integers(0, 2**32 - 1))
def test_every_stratum_has_one_block(fractions: dict[str, float], count: int, seed: int) -> None:
    rule = SplitRule(window_hours=0, block_hours=1, seed=seed, **fractions)
    sets, left = _hourly(count, rule), np.full(count, True)
    for name in sorted(rule.shares, key=rule.shares.__getitem__)[:2]:
        assert abs(int(sets[name].sum()) - rule.shares[name] * count) <= 1
        drawn = sets[name][left]  # by their rank among the blocks that the smaller set leaves
        assert np.diff(np.flatnonzero(drawn)).max(initial=1) <= 2 * np.ceil(len(drawn) / drawn.sum())
        left &= ~sets[name]


def test_seeds_draw_other_blocks_at_no_rhythm() -> None:
    hours = START + np.arange(24 * 400, dtype=np.int64) * MINUTES_PER_HOUR * MINUTE
    drawn: dict[str, list[np.ndarray]] = {"val": [], "calibration": []}
    for seed in range(2):
        # A stratum is a day for validation.
        rule = SplitRule(window_hours=0, block_hours=6, val_fraction=0.25, calibration_fraction=0.25, seed=seed)
        sets = _draw(hours, rule).sets(hours)
        for name, found in drawn.items():
            found.append(sets[name])
            quarters = np.bincount(np.flatnonzero(sets[name]) % 24 // 6, minlength=4) / sets[name].sum()
            np.testing.assert_allclose(quarters, 0.25, atol=0.08)
    for first, second in drawn.values():
        assert 0.1 < (first & second).sum() / first.sum() < 0.4  # a quarter by chance


@pytest.mark.parametrize(
    ("val", "calibration"), [(1e-12, 0.5), (0.5, 1e-12), (1e-12, 1e-12), (1 - 1e-12, 5e-13), (5e-324, 0.3), (0.5, 0.25)]
)
def test_extreme_numbers_of_blocks(val: float, calibration: float) -> None:
    rule = SplitRule(window_hours=0, block_hours=1e-6, val_fraction=val, calibration_fraction=calibration, seed=1)
    ends = np.array([-(2**62), 2**62 - 1], dtype=np.int64)
    draw = BlockDraw.over((int(ends[0]), int(ends[1])), [], rule)
    assert draw.blocks(ends).tolist() == [0, draw.count - 1]
    inner = np.linspace(-(2.0**62), 2.0**62 - 2**20, 1000).astype(np.int64)
    shares = {name: rows.mean() for name, rows in draw.sets(inner).items()}
    assert shares == pytest.approx(rule.shares, abs=0.06)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("milliseconds", range(0, 40, 3))
def test_less_time_than_blocks(milliseconds: int) -> None:
    """A block lasts 3.6 milliseconds at least, so there are one, two or a few."""
    timestamps = START + np.arange(milliseconds + 1, dtype=np.int64) * 10**6
    sets = _draw(timestamps, SplitRule(block_hours=1)).sets(timestamps)
    assert (np.sum([*sets.values()], axis=0) == 1).all()
    assert sum(rows.any() for rows in sets.values()) == min(max(milliseconds * 10**6 // 3_600_000, 1), 3)


def test_without_nominal_time() -> None:
    event = Event(id="1", start=START, end=START + MINUTE)
    sets = _draw(_minutes(60), SplitRule(window_hours=5, block_hours=1), [event]).sets(_minutes(60))
    assert {name: rows.shape for name, rows in sets.items()} == dict.fromkeys(("train", "val", "calibration"), (60,))

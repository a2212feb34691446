"""The stratified draw of blocks for validation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.steps.data import SplitRule
from container_component_src.telemetry.blocks import BlockDraw
from container_component_src.telemetry.events import Event, inside_any
from tests.helpers import MINUTE, nanoseconds
from tests.telemetry.splits import events, rules

START = nanoseconds("2023-01-01")
MINUTES_PER_HOUR = 60
RULES, EVENTS = rules(50), events(START, 2500)


def _minutes(rows: int) -> np.ndarray:
    return START + np.arange(rows, dtype=np.int64) * MINUTE


def _draw(timestamps: np.ndarray, rule: SplitRule, events: list[Event] | None = None) -> BlockDraw:
    return BlockDraw.over((int(timestamps[0]), int(timestamps[-1])), events or [], rule)


@pytest.mark.parametrize("seed", range(10))
def test_few_blocks_keep_the_share(seed: int) -> None:
    """15 blocks of 75 rows, of which independent draws take anything from none to ten."""
    timestamps = _minutes(1115)
    rule = SplitRule(window_hours=1, block_hours=1.25, val_fraction=0.2, seed=seed)
    assert _draw(timestamps, rule).validates(timestamps).mean() == pytest.approx(0.2, abs=0.01)


@given(rule=RULES, rows=st.integers(200, 2500), events=EVENTS)
def test_the_share_is_kept_within_half_a_block(rule: SplitRule, rows: int, events: list[Event]) -> None:
    timestamps = _minutes(rows)
    nominal = timestamps[~inside_any(timestamps, events, round(rule.window_hours * MINUTES_PER_HOUR * MINUTE))]
    draw = _draw(timestamps, rule, events)
    rounding = 2 + 2 * len(events)  # rows on the bounds of blocks and windows
    blocks = draw.count * min(rule.val_fraction, 1 - rule.val_fraction)
    assert draw.validates(nominal).sum() == pytest.approx(
        rule.val_fraction * len(nominal), abs=draw.length / MINUTE / 2 + rounding * (1 + blocks)
    )


@given(rule=RULES, events=EVENTS)
def test_blocks_are_equal_and_not_divided(rule: SplitRule, events: list[Event]) -> None:
    timestamps = _minutes(2500)
    draw = _draw(timestamps, rule, events)
    nominal = timestamps[~inside_any(timestamps, events, round(rule.window_hours * MINUTES_PER_HOUR * MINUTE))]
    blocks, val = draw.blocks(nominal), draw.validates(nominal)
    assert (np.diff(blocks) >= 0).all()
    assert not {*blocks[val].tolist()} & {*blocks[~val].tolist()}
    sizes = np.bincount(blocks, minlength=draw.count)
    assert np.ptp(sizes) <= 2 + 2 * len(events)
    assert draw.length <= 1.5 * rule.block_hours * MINUTES_PER_HOUR * MINUTE


@given(fraction=st.floats(0.01, 0.99), count=st.integers(100, 100_000), seed=st.integers(0, 2**31))
def test_every_stratum_has_one_block(fraction: float, count: int, seed: int) -> None:
    rule = SplitRule(window_hours=0, block_hours=1, val_fraction=fraction, seed=seed)
    hours = START + np.arange(count, dtype=np.int64) * MINUTES_PER_HOUR * MINUTE
    val = BlockDraw.over((START, START + count * MINUTES_PER_HOUR * MINUTE - 1), [], rule).validates(hours)
    rare = val if fraction <= 0.5 else ~val
    assert abs(int(rare.sum()) - min(fraction, 1 - fraction) * count) <= 1
    gaps = np.diff(np.flatnonzero(rare))
    assert gaps.max(initial=1) <= 2 * np.ceil(count / rare.sum())


def test_seeds_draw_other_blocks_at_no_rhythm() -> None:
    hours = START + np.arange(24 * 400, dtype=np.int64) * MINUTES_PER_HOUR * MINUTE
    sets = []
    for seed in range(2):
        rule = SplitRule(window_hours=0, block_hours=6, val_fraction=0.25, seed=seed)  # a stratum is a day
        sets.append(_draw(hours, rule).validates(hours))
        quarters = np.bincount(np.arange(len(hours))[sets[-1]] % 24 // 6, minlength=4) / sets[-1].sum()
        np.testing.assert_allclose(quarters, 0.25, atol=0.08)
    assert 0.1 < (sets[0] & sets[1]).sum() / sets[0].sum() < 0.4  # a quarter by chance


@pytest.mark.parametrize("fraction", [1e-12, 1 - 1e-12, 0.5])
def test_extreme_numbers_of_blocks(fraction: float) -> None:
    rule = SplitRule(window_hours=0, block_hours=1e-6, val_fraction=fraction, seed=1)
    ends = np.array([-(2**62), 2**62 - 1], dtype=np.int64)
    draw = BlockDraw.over((int(ends[0]), int(ends[1])), [], rule)
    assert draw.blocks(ends).tolist() == [0, draw.count - 1]
    inner = np.linspace(-(2.0**62), 2.0**62 - 2**20, 1000).astype(np.int64)
    assert draw.validates(inner).mean() == pytest.approx(fraction, abs=0.06)


def test_without_nominal_time() -> None:
    event = Event(id="1", start=START, end=START + MINUTE)
    rule = SplitRule(window_hours=5, block_hours=1, val_fraction=0.2, seed=0)
    assert _draw(_minutes(60), rule, [event]).validates(_minutes(60)).shape == (60,)

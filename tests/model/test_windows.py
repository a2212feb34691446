from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.model.datamodule import Shard, load_values
from container_component_src.model.row_scorer import RowScorer
from container_component_src.model.scoring import SeriesScorer
from container_component_src.model.streaming import StreamingSource
from container_component_src.model.vae import TimeStampVAE
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter

SECOND = 10**9
CHANNELS, STEPS = 3, 4
TIMES = SECOND * np.array([0, 1, 2, 20, 21, 22, 23], dtype=np.int64)  # a gap before the fourth
NUMBERS = np.arange(7, dtype=np.float32).reshape(-1, 1)


def windows(steps: int, timestamps: np.ndarray | None, batch_rows: int) -> list[list[float]]:
    pieces = Windowing(steps, max_gap_ns=10 * SECOND).batches(NUMBERS, timestamps, batch_rows)
    return [window for piece in pieces for window in piece.tolist()]


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_windows_end_at_their_row_and_do_not_cross_gaps(batch_rows: int) -> None:
    assert windows(3, TIMES, batch_rows) == [
        [0, 0, 0], [0, 0, 1], [0, 1, 2],
        [3, 3, 3], [3, 3, 4], [3, 4, 5], [4, 5, 6],
    ]  # fmt: skip
    assert windows(2, None, batch_rows) == [[row, row] for row in range(7)]
    assert windows(1, TIMES, batch_rows) == [[row] for row in range(7)]


def test_windows_are_ordered_by_time_step() -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    (found,) = Windowing(2).batches(values, TIMES[:3], 10)
    assert found.tolist() == [[0, 1, 0, 1], [0, 1, 2, 3], [2, 3, 4, 5]]


def make_model(steps: int) -> TimeStampVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = TimeStampVAE(CHANNELS, 2, (7, 4), variance_floor=0.01, window_steps=steps)
        torch.nn.init.normal_(model.log_variance)
    return model.eval()


def test_score_is_the_mean_over_the_window() -> None:
    """A window is like one time step with more channels; its negative ELBO is divided by the number of steps."""
    model, wide = make_model(STEPS), TimeStampVAE(STEPS * CHANNELS, 2, (7, 4), variance_floor=0.01)
    weights = model.state_dict()
    wide.load_state_dict(weights | {"log_variance": weights["log_variance"].repeat(STEPS)})
    rows = torch.from_numpy(np.random.default_rng(1).standard_normal((6, STEPS * CHANNELS)).astype(np.float32))
    with torch.no_grad():
        parts, expected = model(rows)
        wide_parts, wide_expected = wide(rows)
        torch.testing.assert_close(model.negative_elbo(rows, 0.5), wide.negative_elbo(rows, 0.5) / STEPS)
        torch.testing.assert_close(parts, wide_parts.view(6, STEPS, CHANNELS).mean(dim=1))
        torch.testing.assert_close(parts.sum(dim=1), model.negative_elbo(rows, 1.0))
        torch.testing.assert_close(expected, wide_expected[:, -CHANNELS:])


@given(
    steps=st.integers(1, 5),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    gap=st.integers(0, 40),
    constant=st.sets(st.integers(0, CHANNELS + 1), min_size=2, max_size=2),
)
def test_scores_do_not_depend_on_the_pieces(steps: int, cuts: list[int], gap: int, constant: set[int]) -> None:
    values = np.random.default_rng(2).standard_normal((40, CHANNELS + 2)).astype(np.float32)
    times = SECOND * (np.arange(40, dtype=np.int64) + 60 * (np.arange(40) >= gap))
    whole = RowScorer(make_model(steps), dict.fromkeys(constant, 1.5), 10 * SECOND)
    scorer, alone = SeriesScorer(whole), SeriesScorer(whole)
    bounds = [0, *sorted(cuts), 40]
    pieces = [scorer.push_with_expected(times[a:b], values[a:b]) for a, b in pairwise(bounds)]
    parts = [alone.push(times[a:b], values[a:b]) for a, b in pairwise(bounds)]
    np.testing.assert_allclose(np.concatenate(parts), whole.contributions(values, times), rtol=1e-5, atol=1e-5)
    outputs = whole.contributions_and_reconstruction(values, times)
    for found, expected in zip(zip(*pieces, strict=True), outputs, strict=True):
        np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-5, atol=1e-5)


def test_scores_of_windows_by_hand() -> None:
    model = make_model(2)
    values = np.random.default_rng(2).standard_normal((3, CHANNELS)).astype(np.float32)
    by_hand = np.stack([np.r_[values[0], values[0]], np.r_[values[0], values[1]], np.r_[values[2], values[2]]])
    parts, expected = RowScorer(model, max_gap_ns=10 * SECOND).contributions_and_reconstruction(
        values, SECOND * np.array([0, 1, 90])
    )
    with torch.no_grad():
        wanted = model(torch.from_numpy(by_hand))
    np.testing.assert_allclose(parts, wanted[0], rtol=1e-5)
    np.testing.assert_allclose(expected, wanted[1], rtol=1e-5)


def test_streamed_windows_equal_those_in_memory(tmp_path: Path) -> None:
    with DatasetWriter(str(tmp_path / "data"), "time", ("row",)) as writer:
        for rows in (slice(0, 2), slice(2, 7)):
            writer.write(Frame(TIMES[rows], NUMBERS[rows]))
        dataset: Dataset = writer.commit()
    wanted = [[0, 0], [0, 1], [2, 2], [3, 3], [3, 4], [4, 5], [5, 6]]
    windowing = Windowing(2, 10 * SECOND)
    source = StreamingSource(dataset, buffer_rows=3, windowing=windowing)
    assert [window for block in source.ordered(Shard()) for window in block.tolist()] == wanted
    drawn = [window for block in source.shuffled(3, 0, 0, Shard()) for batch in block for window in batch.tolist()]
    assert sorted(drawn) == wanted
    assert sorted(load_values(dataset, 0, windowing).tolist()) == wanted

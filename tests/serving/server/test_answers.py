from typing import Any

import numpy as np
import pytest

from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.server.answers import assess
from container_component_src.serving.server.roles import PredictorAnswer
from container_component_src.serving.server.scorers import Scored
from container_component_src.steps.calibration import Smoothing
from container_component_src.telemetry.smoothing import Smoother
from tests.serving.bundles import CHANNELS, SCALER, bundle_info

SECOND = 10**9


def float32(*rows: list[float]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array(rows, dtype=np.float32)


def test_an_answer_ranks_channels_by_their_excess_over_the_mean_contribution() -> None:
    contributions, reconstruction = float32([1.0, -0.5, 4.0]), float32([0.0, 1.0, -1.0])
    observed = np.array([[1012.0, 17.0, 3490.0]])
    usual = bundle_info(threshold=3.0, channel_nats=(-2.0, 0.5, 3.0))
    assert assess(usual, Rows(observed), contributions, reconstruction, top_channels=2).predictions() == [
        {
            "score": 4.5,
            "threshold": 3.0,
            "alarm": True,
            "top_channels": [
                {"channel": "cabin_pressure", "share": 0.75, "expected": 1013.0, "observed": 1012.0},
                {"channel": "fan_speed", "share": 0.25, "expected": 3460.0, "observed": 3490.0},
            ],
        }
    ]


def test_a_score_at_the_threshold_is_no_alarm_and_shares_without_excess_are_zero() -> None:
    contributions = float32([-1.0, -1.0, 0.0])
    usual = bundle_info(threshold=-2.0)
    (answer,) = assess(usual, Rows(np.zeros((1, 3))), contributions, contributions, 5).predictions()
    assert not answer["alarm"]
    assert [channel["share"] for channel in answer["top_channels"]] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_an_answer_names_at_most_the_requested_number_of_channels(count: int) -> None:
    contributions = float32([1.0, 3.0, 2.0], [3.0, 1.0, 2.0])
    answers = assess(bundle_info(), Rows(np.zeros((2, 3))), contributions, contributions, count).predictions()
    names = [[channel["channel"] for channel in answer["top_channels"]] for answer in answers]
    order = [[CHANNELS[1], CHANNELS[2], CHANNELS[0]], [CHANNELS[0], CHANNELS[2], CHANNELS[1]]]
    assert names == [row[:count] for row in order]


def test_with_timestamps_the_smoothed_score_decides_on_alarms() -> None:
    contributions = np.zeros((7, 3), dtype=np.float32)
    contributions[:, 0] = [0, 9, 0, 9, 9, 0, 9]
    timestamps = np.array([0, 1, 2, 3, 4, 100, 101]) * SECOND  # a gap before the last two
    usual = bundle_info(threshold=5.0, smoothing=Smoothing.MEDIAN, smoothing_window=3)
    found = assess(usual, Rows(np.zeros((7, 3)), timestamps), contributions, contributions, 1)
    assert found.smoothed is not None
    expected = Smoother(Smoothing.MEDIAN, 3, 10 * SECOND).push(timestamps, contributions[:, 0])
    np.testing.assert_array_equal(found.smoothed.scores, expected)
    assert found.smoothed.window_rows.tolist() == [1, 2, 3, 3, 3, 1, 2]
    assert found.alarms.tolist() == (expected > 5.0).tolist() == [False, False, False, True, True, False, False]
    answer = found.predictions()[3]
    assert (answer["score"], answer["smoothed_score"], answer["window_rows"]) == (9.0, 9.0, 3)


def test_with_timestamps_contributions_are_means_over_the_window() -> None:
    contributions = np.zeros((6, 3), dtype=np.float32)
    contributions[:3, 2] = 1e30  # the fault ends, the alarm lasts a row longer
    contributions[:, 1] = [0, 0, 0, 3, 3, 3]
    timestamps = np.arange(6) * SECOND
    usual = bundle_info(threshold=5.0, smoothing_window=3)
    found = assess(usual, Rows(np.zeros((6, 3)), timestamps), contributions, contributions, 1)
    assert found.alarms.tolist() == [True, True, True, True, False, False]
    assert [CHANNELS[column] for column in found.top[:, 0]] == [CHANNELS[2]] * 5 + [CHANNELS[1]]
    np.testing.assert_allclose(found.shares[5], 1.0)


@pytest.mark.parametrize("method", [Smoothing.NONE, Smoothing.MEAN, Smoothing.EXPONENTIAL])
def test_smoothed_contributions_sum_to_the_smoothed_score(method: Smoothing) -> None:
    """A single row with a fault keeps its channel first as long as it carries the score."""
    contributions = np.full((5, 3), [0.1, 0.2, 0.3], dtype=np.float32)
    contributions[1, 0] = 100
    timestamps = np.array([0, 1, 2, 3, 100]) * SECOND
    usual = bundle_info(smoothing=method, smoothing_window=3)
    found = assess(usual, Rows(np.zeros((5, 3)), timestamps), contributions, contributions, 3)
    assert found.smoothed is not None
    smoother = usual.smoother()
    for column in range(3):
        parts = usual.smoother().push(timestamps, contributions[:, column])
        shares = found.shares[found.top == column]
        np.testing.assert_allclose(shares * found.smoothed.scores, parts, rtol=1e-5)
    assert found.smoothed.window_rows.tolist() == [min(row, smoother.window) for row in (1, 2, 3, 4, 1)]


def test_tensors_and_objects_hold_the_same_answers() -> None:
    contributions = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    rows = Rows(SCALER.inverse_transform(contributions).astype(float), np.arange(4) * SECOND)
    found = assess(bundle_info(smoothing_window=2), rows, contributions, -contributions, 2)
    tensors = {name: array.tolist() for name, array in found.tensors().items()}
    for row, answer in enumerate(found.predictions()):
        for name in ("score", "threshold", "alarm", "smoothed_score", "window_rows"):
            assert tensors[name][row] == answer[name]
        for position, channel in enumerate(answer["top_channels"]):
            for name, value in channel.items():
                assert tensors[f"top_{name}"][row][position] == value


@pytest.mark.parametrize("impute", [False, True])
@pytest.mark.parametrize("timed", [False, True])
def test_the_size_is_the_number_of_values_in_all_tensors(timed: bool, impute: bool) -> None:
    values = np.where(np.eye(4, 3) > 0, np.nan, 1.0) if impute else np.ones((4, 3))
    rows = Rows.of(values, np.arange(4) * SECOND if timed else None, impute)
    contributions = np.ones((4, 3), dtype=np.float32)
    found = assess(bundle_info(), rows, contributions, contributions, 2)
    assert found.size == sum(array.size for array in found.tensors().values())
    scored = PredictorAnswer(Scored(contributions, contributions), np.zeros(4, dtype=bool))
    assert scored.size == sum(array.size for array in scored.tensors().values())

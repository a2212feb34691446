"""Alarms do not depend on who finds them, nor on the pieces in which the rows come."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from container_component_src.alarms.alarm import Alarm, AlarmSource
from container_component_src.alarms.tracker import AlarmState, AlarmTracker
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import StepError
from container_component_src.model.bundle import Bundle
from container_component_src.model.excess import PeakChannels
from container_component_src.model.scoring import SeriesScorer
from container_component_src.serving.client import query
from container_component_src.serving.client.alarm_finder import AlarmFinder
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.serving import QueryModel
from tests.serving.bundles import CHANNELS, SCALER
from tests.serving.local_client import LocalClient
from tests.serving.models import make_model
from tests.serving.protocols import AnomalyModel
from tests.serving.reference_alarms import RULE, SECOND, alarms_of, assert_same, frame, telemetry

SEEDS = range(8)
ROWS = 160


@pytest.fixture(
    scope="module",
    params=[(1, "none", 1), (1, "median", 3), (2, "mean", 4), (3, "exponential", 2)],
    ids=["batch", "median", "mean", "exponential"],
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, AnomalyModel]:
    steps, smoothing, window = request.param
    folder = tmp_path_factory.mktemp("bundle")
    settings = {"window_steps": steps, "smoothing": Smoothing(smoothing), "smoothing_window": window}
    model = make_model(folder, rule=RULE, channel_nats=(0.5, 1.0, 0.25), **settings)
    return Bundle.load(str(folder)), model


def in_pieces(bundle: Bundle, timestamps: Timestamps, values: Float64Array, cuts: set[int]) -> list[Alarm]:
    """The alarms of rows in pieces, as the evaluation finds them."""
    scorer, smoother = SeriesScorer(bundle.scorer), bundle.info.smoother()
    channels, tracker, changes = PeakChannels(bundle.info, len(CHANNELS)), AlarmTracker(RULE), []
    for piece in np.split(np.arange(len(timestamps)), sorted(cuts)):
        times = timestamps[piece]
        contributions = scorer.push(times, SCALER.transform(values[piece].astype(np.float32)))
        smoothed = smoother.push(times, contributions.sum(axis=1))
        changes += tracker.push(times, smoothed, channels.push(times, contributions)).changes
    changes += tracker.finish()
    return [bundle.info.alarm_source.alarm(change) for change in changes if change.state is AlarmState.CLOSED]


def by_query(model: AnomalyModel, arguments: QueryModel) -> list[Alarm]:
    return [alarm for batch in query.ask(LocalClient(model), arguments) for alarm in batch.alarms or ()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.sampled_from(SEEDS), cuts=st.sets(st.integers(0, ROWS), max_size=12), batch_rows=st.integers(8, ROWS))
@example(seed=0, cuts=set(range(ROWS)), batch_rows=1)
def test_alarms_are_the_same_at_once_in_pieces_and_served_in_batches(
    served: tuple[Bundle, AnomalyModel], tmp_path: Path, seed: int, cuts: set[int], batch_rows: int
) -> None:
    bundle, model = served
    timestamps, values = telemetry(seed, ROWS)
    frame(timestamps, values).to_parquet(tmp_path / "telemetry")
    wanted = alarms_of(bundle, timestamps, values)
    assert_same(in_pieces(bundle, timestamps, values, cuts), wanted)
    arguments = QueryModel(url="http://host", input=str(tmp_path / "telemetry"), batch_rows=batch_rows)
    assert_same(by_query(model, arguments), wanted)


def test_every_part_of_the_rule_changes_these_alarms(served: tuple[Bundle, AnomalyModel]) -> None:
    series = [telemetry(seed, ROWS) for seed in SEEDS]
    wanted = [alarms_of(served[0], *rows) for rows in series]
    assert sum(map(len, wanted)) > 20
    for name, value in {"clear_below": 7.0, "min_duration_ns": 0, "merge_gap_ns": 0, "max_gap_ns": None}.items():
        other = RULE.model_copy(update={name: value})
        assert [alarms_of(served[0], *rows, other) for rows in series] != wanted, name


def test_rows_with_a_dead_channel_are_in_alarm_whatever_their_score() -> None:
    finder = AlarmFinder(AlarmSource("1234567890", RULE, {"fan_*": "air"}))
    dead = np.zeros((6, 2), dtype=np.bool_)
    dead[1:4, 1] = True
    answers = {
        "smoothed_score": np.array([0.0, 0, 3, 2, 0, 0]),
        "top_channel": np.array([["fan_speed"]] * 6, dtype=object),
        "top_share": np.full((6, 1), 0.5),
        "dead": dead,
    }
    times = (1_600_000_000 + np.arange(6)) * SECOND
    assert finder.push(times, answers) == ()  # it may still become one with the next
    (alarm,) = finder.finish() or ()
    assert (alarm.id, alarm.rows, alarm.peak) == ("20200913T122641Z-12345678", 3, times[2])
    assert (alarm.channels[0].share, alarm.subsystem) == (0.5, "air")


@pytest.mark.parametrize("batch_rows", [1, 2, 7, 40])
def test_alarms_of_dead_channels_do_not_depend_on_the_batches(batch_rows: int, tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", impute=True, threshold=1e6)  # dead after 3 seconds
    values = np.tile(SCALER.centre, (40, 1))
    values[5:15, 0] = values[12:30, 2] = np.nan
    timestamps = (1_600_000_000 + np.arange(40)) * SECOND
    frame(timestamps, values).to_parquet(tmp_path / "telemetry")
    arguments = QueryModel(url="http://host", input=str(tmp_path / "telemetry"), batch_rows=batch_rows)
    found = [(alarm.start, alarm.end) for alarm in by_query(model, arguments)]
    assert found == [(timestamps[9], timestamps[14]), (timestamps[16], timestamps[29])]


def test_a_model_that_is_replaced_during_a_query_ends_it(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle")
    timestamps, values = telemetry(0, 20)
    frame(timestamps, values).to_parquet(tmp_path / "telemetry")
    batches = query.ask(
        LocalClient(model), QueryModel(url="http://host", input=str(tmp_path / "telemetry"), batch_rows=5)
    )
    next(batches)
    model.version = "another"
    with pytest.raises(StepError, match="another model was deployed during the query"):
        next(batches)


def test_without_timestamps_or_smoothed_scores_alarms_are_unknown() -> None:
    finder = AlarmFinder(AlarmSource("1234567890", RULE))
    scores = np.array([9.0])
    assert finder.push(None, {"score": scores, "smoothed_score": scores}) is None
    assert finder.push(np.array([1]), {"score": scores}) is None
    assert finder.finish() is None

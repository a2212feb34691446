"""Two models on the data of `tests.evaluation.cases`, which is in engineering units."""

from pathlib import Path

import numpy as np
import pytest

from container_component_src import storage
from container_component_src.alarms.rule import AlarmRule
from container_component_src.errors import InputError
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.gate import GateResult
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle import Bundle
from container_component_src.model.bundle_info import ChannelStatistics
from container_component_src.promotion.champion_drift import DriftCheck
from container_component_src.promotion.comparison import compare_models
from container_component_src.promotion.result import Comparison, read_comparison
from container_component_src.steps.data import ScalerType
from container_component_src.steps.evaluation import GateLimits
from container_component_src.steps.promotion import PromotionLimits
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.distribution import Distribution
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.scaling import scale_datasets
from tests.evaluation.cases import (
    CHANNELS,
    ROWS,
    Case,
    add_rare_event,
    anomalous_frame,
    recalibrate,
    write_case,
    write_dataset,
)

LIMITS = PromotionLimits()
SECONDS_PER_DAY = 86_400


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return write_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def blind(case: Case, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that raises no alarm."""
    return with_threshold(case, tmp_path_factory.mktemp("blind"), 1e6)


def with_threshold(case: Case, folder: Path, threshold: float) -> str:
    copy = case.copy(folder)
    recalibrate(copy, rule=AlarmRule(raise_above=threshold, clear_below=threshold))
    return copy.bundle


@pytest.fixture(scope="module")
def result(case: Case) -> EvaluationResult:
    return evaluate(case.bundle, case.calibration, case.test, str(case.out))


def test_a_better_model_replaces_a_worse_one_and_not_the_other_way_round(case: Case, blind: str) -> None:
    better, worse = (compare_models(*uris, case.test, LIMITS) for uris in ((case.bundle, blind), (blind, case.bundle)))
    assert (better.promoted, worse.promoted) == (True, False)
    assert better.models
    assert worse.models
    gained, lost = better.models.gain, worse.models.gain
    assert gained.champion == lost.challenger == 0
    assert gained.estimate == -lost.estimate > 0
    assert gained.interval
    assert lost.interval
    assert 0 < gained.interval.low <= gained.estimate <= gained.interval.high
    assert (lost.interval.low, lost.interval.high) == (-gained.interval.high, -gained.interval.low)
    assert (better.champion, better.champion_version) == (blind, worse.challenger_version)
    assert better.models.champion.detected == (False, False)
    assert better.models.challenger.detected == (True, True)


def test_metrics_are_those_of_the_evaluation(case: Case, blind: str, result: EvaluationResult) -> None:
    models = compare_models(case.bundle, blind, case.test, LIMITS).models
    assert models
    assert models.challenger.metrics == result.calibrated
    assert models.challenger.intervals["composite_f1"] == result.intervals["composite_f1"]
    assert (models.rows.rows, [event.id for event in models.rows.events]) == (400, ["A-1", "A-2"])


def test_rare_nominal_events_are_kept_apart_as_in_the_evaluation(case: Case, blind: str, tmp_path: Path) -> None:
    copy = case.copy(tmp_path)
    add_rare_event(copy)
    evaluated = evaluate(copy.bundle, copy.calibration, copy.test, str(tmp_path / "scores"))
    models = compare_models(copy.bundle, blind, copy.test, LIMITS).models
    assert models
    assert models.challenger.metrics == evaluated.calibrated
    assert models.challenger.intervals["composite_f1"] == evaluated.intervals["composite_f1"]
    assert [event.id for event in models.rows.events] == ["A-1", "A-2"]
    assert models.challenger.metrics.rare_nominal_events_alarmed == 1
    assert models.rows.rows == ROWS - 20


def test_resamples_are_paired(case: Case, tmp_path: Path) -> None:
    """Models with equal alarms have no gain in any resample, although that of each one varies."""
    twin = with_threshold(case, tmp_path, 8.0)
    recalibrate(Case.below(Path(twin).parent), method="another one", rule=Bundle.load(case.bundle).info.calibrated.rule)
    models = compare_models(twin, case.bundle, case.test, LIMITS).models
    assert models
    assert models.champion.intervals["composite_f1"].low < models.champion.intervals["composite_f1"].high
    assert all((interval.low, interval.high) == (0, 0) for interval in models.gains.values())


def with_scaler(case: Case, folder: Path, channels: tuple[str, ...], scale: float = 2.0) -> str:
    """Write a model that takes channels in another order, and scales them."""
    bundle, centre = Bundle.load(case.bundle), tuple(0.1 * len(name) for name in channels)
    scaler = Scaler(type=ScalerType.STANDARD, channels=channels, centre=centre, scale=(scale,) * 3)
    rule = AlarmRule(raise_above=4.0, clear_below=4.0)
    calibration = bundle.info.calibrated.model_copy(update={"rule": rule})
    info = bundle.info.model_copy(update={"channels": channels, "scaler": scaler, "calibration": calibration})
    Bundle(info, bundle.model).save(storage.resolve(str(folder)))
    return str(folder)


def test_each_model_scales_the_rows_by_its_own_scaler(case: Case, tmp_path: Path) -> None:
    frame, events = anomalous_frame()
    frame.values[7, 1] = np.nan  # which a scaler fills
    test = write_dataset(tmp_path / "test", frame, (120, 305), events)
    champion, challenger = (
        with_scaler(case, tmp_path / name, channels, scale)
        for name, channels, scale in (("old", CHANNELS[::-1], 2.0), ("new", CHANNELS, 1.5))
    )
    models = compare_models(challenger, champion, str(tmp_path / "test"), LIMITS).models
    assert models
    for uri, compared in ((champion, models.champion), (challenger, models.challenger)):
        scaler = Bundle.load(uri).info.scaler
        assert scaler
        scaled = scale_datasets({"test": test}, scaler, {"test": f"{uri}-scaled"})["test"].location.uri
        evaluated = evaluate(uri, scaled, scaled, f"{uri}-scores")
        assert compared.metrics == evaluated.calibrated
        assert compared.metrics.alarms > 0
    assert models.champion.metrics != models.challenger.metrics
    unscaled = compare_models(challenger, case.bundle, str(tmp_path / "test"), LIMITS)
    assert "gives no finite score" in unscaled.problem  # that model has no scaler


def test_the_drift_of_the_deployed_model_is_that_of_the_last_days(case: Case, tmp_path: Path) -> None:
    drifted = {}
    for name, offset in (("same", 0.0), ("moved", 5.0)):
        bundle, reference = Bundle.load(case.bundle), Dataset.open(case.train).load()
        statistics = {
            channel: ChannelStatistics(
                mean=0.0,
                std=1.0,
                quantiles={},
                distribution=Distribution.of(
                    reference.timestamps, reference.values[:, column].astype(np.float64) + offset * (channel == "fan")
                ),
            )
            for column, channel in enumerate(CHANNELS)
        }
        info = bundle.info.model_copy(update={"channel_statistics": statistics})
        Bundle(info, bundle.model).save(storage.resolve(str(tmp_path / name)))
        checked = DriftCheck(case.whole, ROWS / SECONDS_PER_DAY)
        models = compare_models(case.bundle, str(tmp_path / name), case.test, LIMITS, checked).models
        assert models
        drifted[name] = models.drift
    assert drifted == {"same": (), "moved": ("1 of 3 channels have drifted: fan",)}


def test_the_last_days_alone_are_compared(case: Case, blind: str) -> None:
    found = compare_models(case.bundle, blind, case.test, LIMITS, days=149 / SECONDS_PER_DAY)
    assert found.models
    assert (found.models.rows.rows, [event.id for event in found.models.rows.events]) == (150, ["A-2"])
    assert found.models.gain.interval is None
    assert not found.promoted
    assert "too few events" in found.reason
    nothing = compare_models(case.bundle, blind, case.test, LIMITS, days=10 / SECONDS_PER_DAY)
    assert "no test row is labelled as anomalous" in nothing.reason


def test_the_same_model_is_not_compared_with_itself(case: Case, tmp_path: Path) -> None:
    copy = case.copy(tmp_path)
    found = compare_models(case.bundle, copy.bundle, case.test, LIMITS)
    assert (found.promoted, found.models) == (True, None)
    assert found.champion_version == found.challenger_version


def test_a_champion_that_cannot_score_the_rows_stays(case: Case, tmp_path: Path) -> None:
    other = with_scaler(case, tmp_path / "other", ("pressure", "pump", "valve"))
    for champion, problem in (
        (other, f"lacks channel 'pump' and 1 more of its channels of the model {other}"),
        (str(tmp_path / "nothing"), "nothing: no model bundle"),
    ):
        found = compare_models(case.bundle, champion, case.test, LIMITS)
        assert (found.promoted, found.models) == (False, None)
        assert problem in found.reason


def test_without_a_champion_the_gate_decides(case: Case) -> None:
    for passed in (True, False):
        gate = GateResult(passed=passed, conditions=(), limits=GateLimits())
        assert compare_models(case.bundle, "", case.test, LIMITS, gate=gate).promoted is passed


def test_wrong_inputs_of_the_new_model_are_errors(case: Case, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model bundle"):
        compare_models(str(tmp_path / "nothing"), case.bundle, case.test, LIMITS)
    with pytest.raises(InputError, match="the test data has no labels"):
        compare_models(case.bundle, "", case.val, LIMITS)


def test_the_file_is_that_of_one_model(case: Case, blind: str, tmp_path: Path) -> None:
    found, file = (
        compare_models(case.bundle, blind, case.test, LIMITS),
        str(tmp_path / "comparison.json"),
    )
    found.write(file)
    assert read_comparison(file, found.challenger_version) == found
    with pytest.raises(InputError, match="not the comparison of this model"):
        read_comparison(file, found.champion_version)
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(InputError, match="not a comparison of models"):
        read_comparison(file, found.challenger_version)
    assert Comparison.model_validate_json(found.model_dump_json()) == found
    assert found.metadata()["decision"] == "promoted"
    assert Dataset.open(case.test).manifest.rows == 400

"""Drift is found, traced to its channels and dated, and normal telemetry shows none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from container_component_src.arrays import Float64Array
from container_component_src.drift.detection import Rows, find_drift
from container_component_src.drift.result import DriftReason, DriftReport
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.steps.drift import DriftLimits
from tests.drift.cases import (
    DAY,
    ROWS,
    autoregressive,
    engineering,
    info_with_references,
    normal_rows,
    reference,
    times,
)
from tests.serving.bundles import CHANNELS, bundle_info

HALF = ROWS // 2


@pytest.fixture(scope="module")
def info() -> BundleInfo:
    return info_with_references()


def changed(changes: dict[str, Float64Array | float], seed: int = 2) -> Rows:
    """Return rows whose second half has other values, in scaled units."""
    scaled = autoregressive(ROWS, len(CHANNELS), seed)
    for name, change in changes.items():
        scaled[HALF:, CHANNELS.index(name)] += change
    return Rows(times(ROWS), engineering(scaled))


@pytest.mark.parametrize("seed", range(2, 12))
def test_normal_telemetry_has_no_drift(info: BundleInfo, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    report = find_drift(info, [normal_rows(seed)])
    assert not report.exceeded
    assert (report.reasons, dict(report.drifted), caplog.messages) == ((), {}, [])
    assert (report.rows, report.start, report.end) == (ROWS, times(1)[0], times(ROWS)[-1])


def test_an_offset_is_traced_to_its_channel_and_its_start(info: BundleInfo, caplog: pytest.LogCaptureFixture) -> None:
    report = find_drift(info, [changed({"fan_speed": 2.0})])
    assert report.exceeded
    assert [*report.drifted] == [*report.channels][:1] == ["fan_speed"]
    found = report.channels["fan_speed"]
    assert DriftReason.DISTRIBUTION in found.reasons
    assert found.since == pytest.approx(times(ROWS)[HALF], abs=DAY // 20)
    assert report.reasons == ("1 of 3 channels have drifted: fan_speed",)
    assert caplog.messages == ["drift: 1 of 3 channels have drifted: fan_speed"]


def test_a_drift_of_the_whole_period_starts_with_it(info: BundleInfo) -> None:
    rows = changed({"fan_speed": 2.0})
    report = find_drift(info, [Rows(rows.timestamps[HALF:], rows.values[HALF:])])
    assert report.channels["fan_speed"].since == rows.timestamps[HALF]


def test_channels_that_may_have_drifted_are_allowed(info: BundleInfo) -> None:
    rows = changed(dict.fromkeys(CHANNELS[:2], 3.0))
    for allowed in range(3):
        report = find_drift(info, [rows], DriftLimits(max_drifted_channels=allowed))
        assert report.exceeded is (allowed < 2)
        assert {*report.drifted} == {*CHANNELS[:2]}


def test_missing_values_are_a_drift_of_their_own(info: BundleInfo) -> None:
    gap = np.where(np.arange(ROWS - HALF) % 4 == 0, np.nan, 0.0)
    report = find_drift(info, [changed({"fan_speed": gap})])
    found = report.channels["fan_speed"]
    assert found.reasons == (DriftReason.MISSING,)
    assert (found.missing_share, found.missing_share_before) == (0.125, 0)
    assert found.since == pytest.approx(times(ROWS)[HALF], abs=DAY // 20)
    assert find_drift(info, [changed({"fan_speed": gap})], DriftLimits(missing_limit=0.13)).drifted == {}


def test_a_channel_without_any_value_is_missing(info: BundleInfo) -> None:
    rows = normal_rows()
    rows.values[:, 0] = np.nan
    found = find_drift(info, [rows]).channels[CHANNELS[0]]
    assert (found.missing_share, found.reasons, found.since) == (1, (DriftReason.MISSING,), times(1)[0])
    assert (found.psi, found.ks, found.p_value, found.adjusted_p_value, found.outside_share) == (None,) * 5


def test_values_outside_the_known_range_are_a_drift_even_in_a_short_period(info: BundleInfo) -> None:
    rows = normal_rows()
    short = Rows(rows.timestamps[:30], rows.values[:30] + np.array([0, 0, 40 * 6]))
    found = find_drift(info, [short]).channels["fan_speed"]
    assert found.reasons == (DriftReason.OUTSIDE,)
    assert found.outside_share == 1
    assert find_drift(info, [short], DriftLimits(outside_limit=1)).drifted == {}


def test_as_many_values_outside_as_parts_of_the_training_data_have_are_no_drift(info: BundleInfo) -> None:
    known = info.channel_statistics["fan_speed"]
    assert known.distribution is not None
    varied = known.distribution.model_copy(update={"part_outside": (0.3,) * len(known.distribution.part_days)})
    statistics = {**info.channel_statistics, "fan_speed": known.model_copy(update={"distribution": varied})}
    varied_info = info.model_copy(update={"channel_statistics": statistics})
    rows = normal_rows()
    for outside, drifted in ((6, set()), (12, {"fan_speed"})):
        values = rows.values[:30].copy()
        values[:outside, 2] += 40 * 9
        report = find_drift(varied_info, [Rows(rows.timestamps[:30], values)])
        assert {*report.drifted} == drifted
        assert report.channels["fan_speed"].outside_share_before == 0.3


def test_a_short_period_of_a_slow_channel_is_no_drift_though_its_index_is_high(info: BundleInfo) -> None:
    rows = normal_rows()
    report = find_drift(info, [Rows(rows.timestamps[:30], rows.values[:30])])
    assert min(channel.psi or 0 for channel in report.channels.values()) > 0.25
    assert not report.exceeded


def test_a_significant_but_small_distance_is_no_drift(info: BundleInfo) -> None:
    report = find_drift(info, [changed({"fan_speed": 0.7})], DriftLimits(psi_limit=1.0, outside_limit=1))
    assert (report.channels["fan_speed"].adjusted_p_value or 1) < 0.01
    assert not report.exceeded


def test_p_values_are_adjusted_for_the_number_of_channels(info: BundleInfo) -> None:
    report = find_drift(info, [changed({"fan_speed": 0.7})])
    found = report.channels["fan_speed"]
    assert found.adjusted_p_value == pytest.approx(3 * (found.p_value or 0))


def test_the_length_of_pieces_does_not_matter(info: BundleInfo) -> None:
    rows = changed({"fan_speed": 2.0})
    pieces = [
        Rows(rows.timestamps[start : start + 700], rows.values[start : start + 700]) for start in range(0, ROWS, 700)
    ]
    assert find_drift(info, reversed(pieces)) == find_drift(info, [rows])


def test_scores_are_compared_with_those_of_the_calibration() -> None:
    info = info_with_references(with_scores=True)
    rows = normal_rows()
    assert find_drift(info, [rows]).scores is None
    usual = replace(rows, smoothed_scores=autoregressive(ROWS, 1, seed=6)[:, 0])
    report = find_drift(info, [usual])
    assert report.scores is not None
    assert not report.exceeded
    higher = replace(rows, smoothed_scores=autoregressive(ROWS, 1, seed=6)[:, 0] + 3 * (np.arange(ROWS) >= HALF))
    report = find_drift(info, [higher])
    assert report.scores is not None
    assert report.scores.since == pytest.approx(times(ROWS)[HALF], abs=DAY // 20)
    assert (report.exceeded, report.reasons, dict(report.drifted)) == (True, ("the scores have drifted",), {})


def test_usual_departures_of_a_constant_channel_are_no_drift() -> None:
    info = info_with_references(constant=("fan_speed",))
    constant = info.channel_statistics["fan_speed"].model_copy(update={"distribution": reference(np.zeros(3_000))})
    info = info.model_copy(update={"channel_statistics": {**info.channel_statistics, "fan_speed": constant}})
    for departure, drifted in ((0.9, {}), (1.1, {"fan_speed"})):
        scaled = np.column_stack([autoregressive(ROWS, 2, seed=2), np.full(ROWS, departure)])
        assert {*find_drift(info, [Rows(times(ROWS), engineering(scaled))]).drifted} == {*drifted}


def test_a_model_without_a_scaler_has_references_in_engineering_units(info: BundleInfo) -> None:
    plain = info.model_copy(update={"scaler": None})
    assert not find_drift(plain, [Rows(times(ROWS), autoregressive(ROWS, len(CHANNELS), seed=2))]).exceeded


def test_a_model_that_was_trained_before_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not know how channel 'cabin_pressure' was distributed.*; train again"):
        find_drift(bundle_info(), [normal_rows()])


def test_a_period_without_rows_is_refused(info: BundleInfo) -> None:
    with pytest.raises(InputError, match="there are no rows to check for drift"):
        find_drift(info, [])


def test_the_result_is_read_back(info: BundleInfo, tmp_path: Path) -> None:
    report = find_drift(info, [changed({"fan_speed": 2.0})])
    report.write(f"{tmp_path}/drift.json")
    assert DriftReport.read(f"{tmp_path}/drift.json") == report

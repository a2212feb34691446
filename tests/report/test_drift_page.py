"""Page of a check for drift: self-contained, with plots of the channels that have drifted."""

import re
from pathlib import Path

import numpy as np
import pytest

from container_component_src.drift.detection import Comparison, Rows, count_rows, make_report
from container_component_src.drift.result import DriftReport
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.drift_page import drift_figures, write_drift_page
from container_component_src.report.traces import milliseconds
from container_component_src.steps.drift import DriftLimits
from tests.drift.cases import ROWS, autoregressive, info_with_references, normal_rows, times

INFO = info_with_references(with_scores=True)


def checked(rows: Rows, info: BundleInfo = INFO) -> tuple[DriftReport, Comparison]:
    comparison = count_rows(info, [rows])
    return make_report(info, comparison, DriftLimits()), comparison


@pytest.fixture(scope="module")
def drifted() -> tuple[DriftReport, Comparison]:
    rows = normal_rows()
    rows.values[ROWS // 2 :, 2] += 120.0
    rows.values[:100, 1] = np.nan
    return checked(Rows(rows.timestamps, rows.values, autoregressive(ROWS, 1, seed=3)[:, 0]))


def test_the_page_shows_what_has_drifted_and_needs_no_network(
    drifted: tuple[DriftReport, Comparison], tmp_path: Path
) -> None:
    write_drift_page(*drifted, INFO, str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "1 of 3 channels have drifted: fan_speed." in page
    assert page.count("Plotly.newPlot(") >= 3
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert re.search(r'class="drifted"><th scope="row">fan_speed</th>\s*<td>distribution, outside the range', page)
    assert page.count('class="drifted"') == 1
    assert '<th scope="row">Smoothed score</th>' in page


def test_names_of_channels_are_escaped(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    report, comparison = checked(normal_rows())
    found = report.model_copy(update={"channels": {name: report.channels["fan_speed"]}})
    renamed = Comparison({name: comparison.references["fan_speed"]}, comparison.period)
    write_drift_page(found, renamed, INFO, str(tmp_path / "page.html"))
    assert name not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_values_are_shown_in_engineering_units_with_the_start_of_the_drift(
    drifted: tuple[DriftReport, Comparison],
) -> None:
    indices, fan, scores = drift_figures(*drifted, INFO)
    assert [bar["x"] for bar in indices["data"]] == [["fan_speed"], [*drifted[0].channels][1:]]
    (trace,) = fan["data"]
    assert np.mean(trace["y"][: len(trace["y"]) // 2]) == pytest.approx(3_500, abs=40)
    assert np.mean(trace["y"][len(trace["y"]) // 2 :]) == pytest.approx(3_620, abs=40)
    low, high, start = fan["layout"]["shapes"]
    assert (low["y0"], high["y0"]) == pytest.approx((3_500 - 1.645 * 40, 3_500 + 1.645 * 40), abs=20)
    assert start["x0"] == milliseconds(drifted[0].channels["fan_speed"].since or 0)
    assert trace["x"][0] == milliseconds(times(1)[0])
    assert scores["layout"]["title"]["text"] == "Smoothed score (nats)"
    assert len(scores["layout"]["shapes"]) == 2


def test_without_drift_the_channel_with_the_largest_index_is_shown() -> None:
    report, comparison = checked(normal_rows())
    titles = [figure["layout"].get("title", {}).get("text") for figure in drift_figures(report, comparison, INFO)]
    assert titles == [None, next(iter(report.channels))]


def test_a_part_without_a_value_is_a_gap_in_the_line() -> None:
    rows = normal_rows()
    rows.values[2_000:6_000] = np.nan
    report, comparison = checked(rows)
    (trace,) = drift_figures(report, comparison, INFO)[1]["data"]
    assert None in trace["y"]

"""Report page: complete, self-contained, and safe for any title."""

import json
import re
from pathlib import Path
from unittest.mock import patch

import plotly.graph_objects as go
import pytest

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import read_alarms, write_alarms
from container_component_src.errors import InputError
from container_component_src.evaluation.gate import check_gate
from container_component_src.evaluation.leads import NAMES
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import open_info
from container_component_src.report import alarms as report_alarms
from container_component_src.report.text import fraction, interval_text
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.evaluation import GateLimits
from tests.evaluation.cases import Case, add_rare_event, anomalous_frame, make_bundle, write_case
from tests.report.cases import Page, alarm, evaluated, report


@pytest.fixture(scope="module")
def evaluated_once(tmp_path_factory: pytest.TempPathFactory) -> Case:
    case = write_case(tmp_path_factory.mktemp("case"))
    evaluated(case)
    return case


@pytest.fixture
def case(evaluated_once: Case, tmp_path: Path) -> Case:
    return evaluated_once.copy(tmp_path)


def test_the_page_is_complete_and_needs_no_network(case: Case) -> None:
    page = report(case)
    assert page.tags[0][0] == "html"
    assert not [tag for tag, _ in page.tags if tag in {"link", "iframe", "img", "object"}]
    assert not page.attributes("src")
    assert all(target.startswith("#") for target in page.attributes("href"))
    policy = next(attributes["content"] or "" for tag, attributes in page.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'")
    assert len(page.scripts) == 3
    links = {target.removeprefix("#") for target in page.attributes("href")}
    assert links <= set(page.attributes("id"))


def test_columns_that_are_no_channels_are_named(case: Case) -> None:
    texts = [text.strip() for text in report(case).texts]
    assert texts[texts.index("Columns that are not channels") + 1 :][:3].count(
        "mode: text, (no name): index of the rows"
    )


def test_numbers_of_the_tables_and_texts_have_three_significant_digits(case: Case) -> None:
    write_alarms(str(case.out.parent / "alarms.ndjson"), [alarm(open_info(case.bundle), 98, 139, peak_score=1234.567)])
    texts = [text for text in report(case).texts if not text.strip().startswith(":root")]  # the style sheet
    numbers = [number for text in texts for number in re.findall(r"\d+\.\d+", text)]
    assert len(numbers) > 50
    assert [number for number in numbers if len(number.replace(".", "").lstrip("0")) > 3] == []
    assert not re.search(r"\de[-+]\d", " ".join(texts))  # no exponents
    assert "1\u202f230 nats" in texts


def test_titles_are_escaped(case: Case) -> None:
    page = report(case)
    assert "Fan <b>& co</b>" in page.texts
    assert "b" not in {tag for tag, _ in page.tags}
    marker = next(trace for trace in page.data["figures"]["time"]["data"] if trace["name"] == "Detected event")
    assert marker["text"][0] == "<b>A-1</b> Fan &lt;b&gt;&amp; co&lt;/b&gt;<br>Detected"
    assert page.data["events"][0]["label"] == "Event 1 of 2: A-1 Fan <b>& co</b>"


def with_alarms(case: Case, *alarms: Alarm) -> Page:
    write_alarms(str(case.out.parent / "alarms.ndjson"), alarms)
    return report(case)


def test_the_table_of_alarms_has_all_alarms_with_escaped_texts(case: Case) -> None:
    info = open_info(case.bundle)
    true, false = alarm(info, 98, 139, ("A-1",)), alarm(info, 200, 230).model_copy(update={"subsystem": "<u>air</u>"})
    page = with_alarms(case, true, false)
    text = " ".join(" ".join(page.texts).split())
    assert (
        f"{true.id} True alarm 2020-09-13 12:28:18 41 s 20 nats 2020-09-13 12:28:59 fan fan 70 % <i>pressure</i>"
        in text
    )
    assert "<i>pressure</i> 30 % ventilation A-1 " in text
    assert f"{false.id} False alarm " in text
    assert "<u>air</u> 60 s after A-1 " in text
    assert {"i", "u"}.isdisjoint({tag for tag, _ in page.tags})
    rows = [attributes for tag, attributes in page.tags if tag == "tr" and attributes.get("data-view") == "alarms"]
    filters = [(row["data-number"], row["data-state"], row["data-subsystem"]) for row in rows]
    assert filters == [("0", "true", "ventilation"), ("1", "false", "<u>air</u>")]
    assert [tag["value"] for name, tag in page.tags if name == "option"] == ["all", "<u>air</u>", "ventilation"]


def test_the_download_is_a_file_of_alarms(case: Case, tmp_path: Path) -> None:
    info = open_info(case.bundle)
    alarms = [alarm(info, 98, 139, ("A-1",)), alarm(info, 200, 230)]
    downloaded = tmp_path / "downloaded.csv"
    downloaded.write_text(with_alarms(case, *alarms).data["alarms_csv"])
    assert read_alarms(str(downloaded)) == alarms


def test_alarms_that_are_left_out_are_counted(case: Case) -> None:
    info = open_info(case.bundle)
    alarms = [alarm(info, second, second, peak_score=9.0 + second) for second in range(5)]
    assert "are left out" not in " ".join(with_alarms(case, *alarms).texts)
    with patch.object(report_alarms, "MOST_ALARMS", 3):
        page = with_alarms(case, *alarms)
    text = " ".join(" ".join(page.texts).split())
    assert "The 3 alarms with the largest peaks are shown, and 2 are left out" in text
    assert [view["peak_score"] for view in page.data["alarms"]] == [11.0, 12.0, 13.0]


def test_without_an_alarm_the_page_says_so(case: Case) -> None:
    page = with_alarms(case)
    assert "No alarm was raised." in page.texts
    assert "download-alarms" not in page.attributes("id")
    assert page.data["alarms"] == []


def test_metrics_of_rows_come_after_those_of_alarms(case: Case) -> None:
    page = report(case)
    order = page.attributes("id")
    assert order.index("alarms") < order.index("thresholds") < order.index("baselines") < order.index("rows")
    text = " ".join(" ".join(page.texts).split())
    rows = text.index("Appendix: rows")
    cards = text[text.index("False alarms a day") : text.index("Score over time")]
    for name in ("Alarms a day", "Precision of alarms", "Events found", "Event F0.5", "Composite F1"):
        assert name in cards
    assert text.index("Confusion matrix") > rows
    assert text.index("ROC curve") > rows


def test_root_causes_are_shown_if_reports_name_them(case: Case) -> None:
    text = " ".join(report(case).texts)
    assert re.search(r"Means over the 1 of\s+2\s+events", text)
    assert re.search(r"HitRate@150 %\s+1\.00", text)
    assert "Reported cause: fan" in text
    result = EvaluationResult.read(str(case.out.parent / "evaluation.json"))
    events = tuple(event.model_copy(update={"causes": ()}) for event in result.events)
    update = {"root_cause": None, "events": events}
    result.model_copy(update=update).write(str(case.out.parent / "evaluation.json"))
    text = " ".join(report(case).texts)
    assert "The anomaly reports name no channels as causes" in text
    assert not re.search("HitRate@150|Reported cause", text)


def test_alarm_metrics_are_shown_at_both_thresholds(case: Case) -> None:
    result = EvaluationResult.read(str(case.out.parent / "evaluation.json"))
    text = " ".join(report(case).texts)
    for name, metric in {"Event F0.5": "event_f05", "Precision of alarms": "alarm_precision"}.items():
        both = [fraction(getattr(metrics, metric)) for metrics in (result.calibrated, result.best)]
        interval = interval_text(result.intervals[metric])
        assert re.search(rf"{name}\s+{both[0]}\s+{interval}\s+{both[1]}", text)
    assert f"(VUS PR) is {fraction(result.vus_pr)}" in text


@pytest.mark.parametrize(
    ("smoothing", "window", "text"),
    [(Smoothing.EXPONENTIAL, 3, "exponential, 3 time steps"), (Smoothing.MEAN, 1, "none"), (Smoothing.NONE, 1, "none")],
)
def test_the_smoothing_and_the_method_of_the_threshold_are_shown(
    case: Case, smoothing: Smoothing, window: int, text: str
) -> None:
    make_bundle(case.bundle, window, smoothing=smoothing)
    evaluated(case)
    shown = " ".join(report(case).texts)
    assert re.search(rf"Smoothing\s+{text}\s", shown)
    assert "exceeds the alarm threshold, 8 nats, and lasts while" in shown
    assert open_info(case.bundle).calibrated.method in shown


def test_the_gate_is_shown_and_that_of_another_evaluation_is_refused(case: Case) -> None:
    uri, evaluation = str(case.out.parent / "gate.json"), str(case.out.parent / "evaluation.json")
    gate = check_gate(evaluation, GateLimits())
    gate.write(uri)
    assert gate.reason in report(case, gate=uri).texts
    assert gate.reason not in report(case).texts
    make_bundle(case.bundle, window=5)
    evaluated(case)
    with pytest.raises(InputError, match=r"gate\.json: not the gate of this evaluation"):
        report(case, gate=uri)


def test_every_placeholder_has_a_figure_and_every_colour_both_themes(case: Case) -> None:
    page = report(case)
    figures = page.data["figures"]
    assert {*page.attributes("data-figure"), "time"} == figures.keys()
    style = page.texts[next(i for i, text in enumerate(page.texts) if "--plot-ink" in text)]
    used = set(re.findall(r'"@([a-z]+)', json.dumps(figures))) | set(re.findall(r'"@([a-z]+)', page.scripts[2]))
    assert used
    for name in used - {"name"}:  # a comment of the script explains the notation
        assert len(re.findall(rf"--plot-{name}: #[0-9a-f]{{6}};", style)) == 2


def test_plotly_knows_every_property_of_the_figures(case: Case) -> None:
    """plotly.js ignores unknown properties; plotly for Python rejects them."""
    evaluated(case, case.train)
    for figure in report(case).data["figures"].values():
        coloured = json.loads(re.sub(r'"@[a-z]+(/[0-9.]+)?"', '"#123456"', json.dumps(figure)))
        go.Figure(data=coloured["data"], layout=coloured["layout"])


def test_the_figures_show_the_result(case: Case) -> None:
    figures = report(case).data["figures"]
    assert next(shape["y0"] for shape in figures["time"]["layout"]["shapes"] if shape["type"] == "line") == 8.0
    _, detected, missed, *_ = figures["time"]["data"]
    assert [trace["x"] for trace in (detected, missed)] == [[1_600_000_100_000.0, 1_600_000_300_000.0], []]
    assert figures["training"]["data"][1]["y"] == [9.5, 8.5, 7.5]
    shares = [sum(trace["y"][:-1]) for trace in figures["histogram"]["data"]]
    assert shares == pytest.approx([100, 100], rel=0.2)  # empty bins are drawn at the lower edge


def test_split_and_signals_match_the_data(case: Case) -> None:
    data = report(case).data
    lanes = {trace["name"]: trace["x"] for trace in data["figures"]["split"]["data"]}
    start = 1_600_000_000_000
    assert lanes["Test"] == [start, start + 399_000, None]
    assert lanes["Training"] == [start + 800_000, start + 1_199_000, None]
    assert lanes["Calibration"] == [start + 1_200_000, start + 1_599_000, None]
    assert lanes["Reported events"] == [start + 100_000, start + 300_000]
    event = data["events"][0]
    fan, first = event["signals"][0], 100_000 - (event["event"][0] - event["start"])
    assert fan["channel"] == "fan"
    frame, _ = anomalous_frame()
    by_time = dict(zip(fan["x"], fan["y"], strict=True))
    assert by_time[100_000 - first] == pytest.approx(float(frame.values[100, 2]), rel=1e-6)


def test_every_text_and_line_has_enough_contrast(case: Case) -> None:
    page = report(case)
    style = next(text for text in page.texts if "--plot-ink" in text)
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for theme in (light, dark[: dark.index("}\n}")]):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", theme))
        for name in ("ink", "muted", "accent", "plot-ink"):
            assert contrast(colours[name], colours["panel"]) >= 4.5, name
        for name in {name for name in colours if name.startswith("plot-")} - {"plot-panel", "plot-grid"}:
            assert contrast(colours[name], colours["plot-panel"]) >= 3, name


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours by the Web Content Accessibility Guidelines 2."""

    def luminance(colour: str) -> float:
        channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
        linear = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_baselines_are_in_the_table_and_the_curves(case: Case) -> None:
    evaluated(case, case.train)
    page = report(case)
    names = set(NAMES.values())
    assert names <= set(page.texts)
    for figure in ("roc", "pr"):
        curves = [trace["name"].rsplit(" ", 1)[0] for trace in page.data["figures"][figure]["data"]]
        assert names | {"Model"} <= set(curves)
    assert sum("baselines" in text and "beat" in text for text in page.texts) == 3  # header, heading, and below it


def test_without_tuning_there_is_no_tuning_section(case: Case) -> None:
    page = report(case, trials=False)
    assert "tuning" not in page.attributes("id")
    assert "parallel" not in page.data["figures"]


def test_the_page_is_reproducible(case: Case) -> None:
    file = case.out.parent / "report.html"
    report(case)
    first = file.read_bytes()
    report(case)
    assert file.read_bytes() == first


def test_rejects_an_evaluation_of_another_model(case: Case) -> None:
    make_bundle(case.bundle, scale=2.0)
    with pytest.raises(InputError, match="not the evaluation of the model"):
        report(case)


def test_rejects_scores_of_another_evaluation(case: Case) -> None:
    with pytest.raises(InputError, match="400 rows, but the evaluation has"):
        folder = case.out.parent
        text = (folder / "evaluation.json").read_text().replace('"test_rows":400', '"test_rows":399')
        (folder / "evaluation.json").write_text(text)
        report(case)


def test_events_of_each_kind_are_listed(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    add_rare_event(case)
    evaluated(case)
    page = report(case)
    text = " ".join(" ".join(page.texts).split())
    assert "1 rare nominal event is kept apart." in text
    assert (
        "The metrics leave out their 20 rows, and alarms that overlap nothing else, which are 1. 1 of 1 raised" in text
    )
    assert "R-1 <i>Docking</i> 2020-09-13 12:30:00 20 s 1 " in text
    assert "Rare nominal alarm" in text
    assert "i" not in {tag for tag, _ in page.tags}
    rows = [attributes["data-state"] for tag, attributes in page.tags if tag == "tr" and "data-state" in attributes]
    assert rows.count("rare") == 1
    (bars,) = [item for item in page.data["figures"]["time"]["data"] if item["name"] == "Rare nominal alarm"]
    assert bars["line"]["color"] == "@slate"
    assert [alarm["kind"] for alarm in page.data["alarms"]].count("rare nominal") == 1


def test_an_anomaly_that_an_operator_judged_says_so(case: Case) -> None:
    result = EvaluationResult.read(str(case.out.parent / "evaluation.json"))
    first, *others = result.events
    changed = result.model_copy(update={"events": (first.model_copy(update={"origin": "verdict"}), *others)})
    for written, count in ((result, 0), (changed, 1)):
        written.write(str(case.out.parent / "evaluation.json"))
        assert report(case).texts.count("judged by an operator") == count

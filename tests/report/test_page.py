"""Report page: complete, self-contained, and safe for any title."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from container_component_src.errors import InputError
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import ChannelExcess, Counts, EvaluationResult, EventResult
from container_component_src.report.baselines import NAMES
from container_component_src.report.overview import SPANS_SHOWN
from container_component_src.report.page import write_report
from container_component_src.report.rendering import render
from container_component_src.report.score_plot import event_views
from container_component_src.report.series import EVENT_LINES, Line, Series, event_windows
from container_component_src.report.signals import Signal
from container_component_src.steps.calibration import Smoothing
from container_component_src.steps.data import SETS
from tests.evaluation.cases import SECOND, Case, anomalous_frame, make_bundle, write_case

TRIALS = 'trial,state,val_loss,latent_dim,hidden_dims\n0,succeeded,42.0,8,"64,32"\n1,succeeded,41.0,16,</script>\n'
LARGEST = 8_000_000


class Page(HTMLParser):
    """Parser that collects tags, texts and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data  # a long script comes in several pieces
        else:
            self.texts.append(data)

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = write_case(tmp_path)
    evaluate(case.bundle, case.val, case.test, str(case.out)).write(str(tmp_path / "evaluation.json"))
    (tmp_path / "trials.csv").write_text(TRIALS)
    return case


def report(case: Case, trials: bool = True) -> Page:
    folder = case.out.parent
    trials_uri = str(folder / "trials.csv") if trials else ""
    summary = write_report(
        case.telemetry,
        str(case.out),
        str(folder / "evaluation.json"),
        case.bundle,
        trials_uri,
        str(folder / "report.html"),
    )
    content = (folder / "report.html").read_bytes()
    assert summary == {"bytes": len(content), "events": 2, "trials": 2 if trials else 0}
    assert len(content) < LARGEST
    return Page(content.decode())


def add_baselines(case: Case) -> None:
    """Evaluate again with training data."""
    result = evaluate(case.bundle, case.val, case.test, str(case.out), case.train)
    result.write(str(case.out.parent / "evaluation.json"))


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


def test_titles_are_escaped(case: Case) -> None:
    page = report(case)
    assert "Fan <b>& co</b>" in page.texts
    assert "b" not in {tag for tag, _ in page.tags}
    marker = next(trace for trace in page.data["figures"]["time"]["data"] if trace["name"] == "Detected event")
    assert marker["text"][0] == "<b>A-1</b> Fan &lt;b&gt;&amp; co&lt;/b&gt;<br>Detected"
    assert page.data["events"][0]["label"] == "Event 1 of 2: A-1 Fan <b>& co</b>"


def test_root_causes_are_shown_if_reports_name_them(case: Case) -> None:
    text = " ".join(report(case).texts)
    assert re.search(r"Means over the 1 of\s+2\s+events", text)
    assert re.search(r"HitRate@150 %\s+1\.000", text)
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
    for name, metric in {"Event F0.5": "event_f05", "Timing quality": "timing_quality"}.items():
        both = [f"{getattr(metrics, metric):.3f}" for metrics in (result.calibrated, result.best)]
        assert re.search(rf"{name}\s+{both[0]}\s+{both[1]}", text)
    assert f"(VUS PR) is {result.vus_pr:.3f}" in text


@pytest.mark.parametrize(
    ("smoothing", "window", "text"),
    [(Smoothing.EXPONENTIAL, 3, "exponential, 3 time steps"), (Smoothing.MEAN, 1, "none"), (Smoothing.NONE, 1, "none")],
)
def test_the_smoothing_and_the_method_of_the_threshold_are_shown(
    case: Case, smoothing: Smoothing, window: int, text: str
) -> None:
    make_bundle(case.bundle, window, smoothing=smoothing)
    evaluate(case.bundle, case.val, case.test, str(case.out)).write(str(case.out.parent / "evaluation.json"))
    shown = " ".join(report(case).texts)
    assert re.search(rf"Smoothing\s+{text}\s", shown)
    assert "8 nats (quantile of the smoothed validation scores: 0.999)" in shown


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
    add_baselines(case)
    for figure in report(case).data["figures"].values():
        coloured = json.loads(re.sub(r'"@[a-z]+(/[0-9.]+)?"', '"#123456"', json.dumps(figure)))
        go.Figure(data=coloured["data"], layout=coloured["layout"])


def test_the_figures_show_the_result(case: Case) -> None:
    figures = report(case).data["figures"]
    assert next(shape["y0"] for shape in figures["time"]["layout"]["shapes"] if shape["type"] == "line") == 8.0
    assert [trace["x"] for trace in figures["time"]["data"][1:]] == [[1_600_000_100_000.0, 1_600_000_300_000.0], []]
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
    add_baselines(case)
    page = report(case)
    names = set(NAMES.values())
    assert names <= set(page.texts)
    for figure in ("roc", "pr"):
        curves = [trace["name"].rsplit(" ", 1)[0] for trace in page.data["figures"][figure]["data"]]
        assert names | {"Model"} <= set(curves)
    assert sum("baselines" in text and "beat" in text for text in page.texts) == 3  # header, heading, and below it


def test_many_events_and_long_series_stay_small() -> None:
    """Maximum number of points, each with the maximum number of digits."""
    events = tuple(long_event(number) for number in range(500))
    counts: dict[str, Any] = {"observed_days": 730.0, "test_rows": 63_000_000}
    known: dict[str, Any] = {"events": events, "counts": Counts.model_construct(**counts)}
    result = EvaluationResult.model_construct(**known)
    windows = event_windows(result)
    signals = []
    for window in windows:
        times = np.linspace(window.start, window.end, 2 * window.buckets).astype(np.int64)
        lines = [Line(times, np.full(len(times), -np.pi * 1e-4)) for _ in range(EVENT_LINES)]
        signals.append([Signal("ECLSS_A_RATHER_LONG_CHANNEL_NAME", 1.0, line, (0.0, 1.0)) for line in lines[1:]])
    nothing = np.empty(0)
    lines_of_score = tuple(item[0].line for item in signals)
    counted = nothing.astype(np.int64)
    scores = Series(Line(counted, nothing), lines_of_score, (), nothing, counted, counted)
    views = json.dumps(event_views(scores, signals, windows, result), separators=(",", ":"))
    table = render("events.html.jinja", result=result, largest_excess=1.0)
    split = len(SETS) * SPANS_SHOWN * 40
    assert len(views) + len(table) + len(get_plotlyjs()) + split < LARGEST - 250_000  # the other plots


def long_event(number: int) -> EventResult:
    return EventResult(
        id=f"COL-AR-{number:04d}",
        symbol="ECLSS-CWSA",
        title="Temperature control valve not following its command",
        start=number * 86_400 * SECOND,
        end=(number + 1) * 86_400 * SECOND,
        rows=86_400,
        detected=True,
        delay_s=1234.567,
        peak_score=4488.3623046875,
        top_channels=tuple(ChannelExcess(channel="ECLSS_A_RATHER_LONG_CHANNEL_NAME", excess=1.0) for _ in range(5)),
    )


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
        text = (folder / "evaluation.json").read_text().replace('"test_rows": 400', '"test_rows": 399')
        (folder / "evaluation.json").write_text(text)
        report(case)

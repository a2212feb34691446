"""Means over seeds and data sets, as tables with the best value of each column, and as JSON and CSV."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.detection.runs import ALARMS, DETECTION, METRICS, Run

ALL = "mean"
LOWER_IS_BETTER = ("false_alarms_per_day", "redundancy", "median_detection_delay_s")
HEADERS = {
    "vus_pr": "VUS-PR",
    "vus_roc": "VUS-ROC",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "composite_f1": "composite F1, calibrated",
    "composite_f1_best": "composite F1, best",
    "hit_rate_100": "HitRate@100",
    "hit_rate_150": "HitRate@150",
    "alarms_per_day": "alarms per day",
    "false_alarms_per_day": "false alarms per day",
    "alarm_precision": "precision of alarms",
    "event_recall": "events found",
    "redundancy": "alarms per event found",
    "median_detection_delay_s": "median delay (s)",
    "event_f05": "event F0.5",
}


def long_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row for each data set, seed, detector and metric that is defined."""
    rows = [
        (run["group"], run["data"], run["seed"], detector, metric, values[metric])
        for run in runs
        for detector, values in run["detectors"].items()
        for metric in METRICS
        if values[metric] is not None
    ]
    return pd.DataFrame(rows, columns=["group", "data", "seed", "detector", "metric", "value"])


def means(runs: Sequence[Run]) -> pd.DataFrame:
    """Return means and standard deviations over seeds.

    The data sets of a group are averaged for each seed, so that they count as one in the mean over the groups.

    Returns:
        Columns group, detector, metric, mean, deviation and seeds; group `mean`, if there are several, is their mean.
    """
    by_group = long_table(runs).groupby(["group", "detector", "metric", "seed"], sort=False)["value"].mean()
    overall = by_group.groupby(["detector", "metric", "seed"], sort=False).mean()
    parts = [by_group.reset_index()]
    if by_group.index.get_level_values("group").nunique() > 1:
        parts.append(overall.reset_index().assign(group=ALL))
    grouped = pd.concat(parts).groupby(["group", "detector", "metric"], sort=False)["value"]
    summary = grouped.agg(mean="mean", deviation=lambda values: float(np.std(values)), seeds="count")
    return summary.reset_index()


def table(summary: pd.DataFrame, metrics: Sequence[str], markdown: bool = False) -> Table:
    """Return the table with a row for each group and detector; the best of a group is bold."""
    shown = Table(box=box.MARKDOWN if markdown else box.SIMPLE)
    for header in ("data", "detector"):
        shown.add_column(header, no_wrap=True)
    for metric in metrics:
        shown.add_column(HEADERS[metric], justify="right", no_wrap=markdown)
    for group, rows in summary.groupby("group", sort=False):
        wide = rows.pivot(index="detector", columns="metric", values="mean").reindex(columns=list(metrics))
        wide = wide.reindex(rows["detector"].unique())
        best = {metric: _best(wide[metric].round(3), metric) for metric in metrics}
        for detector, values in wide.iterrows():
            cells = [_cell(values[metric], best[metric], markdown) for metric in metrics]
            shown.add_row(str(group), str(detector).replace("_", " "), *cells)
    return shown


def _best(values: "pd.Series[float]", metric: str) -> float:
    return float(values.min() if metric in LOWER_IS_BETTER else values.max())


def _cell(value: float, best: float, markdown: bool) -> str:
    if np.isnan(value):
        return "-"
    text = f"{value:.3f}"
    if round(value, 3) != best:
        return text
    return f"**{text}**" if markdown else f"[bold]{text}[/bold]"


def as_markdown(shown: Table) -> str:
    """Return a table that was made for Markdown, a line for each row."""
    file = io.StringIO()
    Console(file=file, width=300).print(shown)
    return "".join(f"{line.strip()}\n" for line in file.getvalue().splitlines() if line.strip())


def write(runs: Sequence[Run], summary: pd.DataFrame, stem: Path) -> None:
    """Write all runs and the means as JSON, the means as CSV, and the table as Markdown."""
    content = {"runs": list(runs), "means": summary.to_dict(orient="records")}
    stem.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    summary.to_csv(stem.with_suffix(".csv"), index=False)
    tables = [as_markdown(table(summary, metrics, markdown=True)) for metrics in (DETECTION, ALARMS)]
    stem.with_suffix(".md").write_text("\n".join(tables), encoding="utf-8")

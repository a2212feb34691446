import csv
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.detection.runs import ALARMS, DETECTION, METRICS
from benchmarks.detection.table import as_markdown, means, table, write


def run(data: str, seed: int, **detectors: dict[str, float]) -> dict[str, Any]:
    values = {name: {**dict.fromkeys(METRICS), **metrics} for name, metrics in detectors.items()}
    return {"data": data, "group": data.split("/", maxsplit=1)[0], "seed": seed, "detectors": values}


RUNS = [
    run("plant", 42, vae={"vus_pr": 0.2, "hit_rate_100": 0.5}, z_score={"vus_pr": 0.3}),
    run("plant", 43, vae={"vus_pr": 0.4, "hit_rate_100": 0.7}, z_score={"vus_pr": 0.3}),
    run("servers/a", 42, vae={"vus_pr": 0.9}, z_score={"vus_pr": 0.0}),
    run("servers/b", 42, vae={"vus_pr": 0.5}, z_score={"vus_pr": 0.2}),
    run("servers/a", 43, vae={"vus_pr": 0.7}, z_score={"vus_pr": 0.0}),
    run("servers/b", 43, vae={"vus_pr": 0.7}, z_score={"vus_pr": 0.2}),
]


def test_a_group_of_data_sets_counts_as_one() -> None:
    found = {(row["group"], row["detector"], row["metric"]): row for row in means(RUNS).to_dict("records")}
    values = {key: (row["mean"], row["deviation"], row["seeds"]) for key, row in found.items() if key[2] == "vus_pr"}
    assert values["plant", "vae", "vus_pr"] == pytest.approx((0.3, 0.1, 2))
    assert values["servers", "vae", "vus_pr"] == pytest.approx((0.7, 0.0, 2))
    assert values["mean", "vae", "vus_pr"] == pytest.approx((0.5, 0.05, 2))
    assert values["mean", "z_score", "vus_pr"] == pytest.approx((0.2, 0.0, 2))


def test_a_mean_of_one_group_is_not_repeated() -> None:
    assert set(means(RUNS[2:])["group"]) == {"servers"}


def test_the_best_of_a_group_is_bold_and_what_is_undefined_a_dash() -> None:
    lines = as_markdown(table(means(RUNS), DETECTION, markdown=True)).splitlines()
    cells = {(row[1], row[2]): row[3:-1] for row in ([cell.strip() for cell in line.split("|")] for line in lines)}
    assert next(iter(cells)) == ("data", "detector")
    assert list(cells)[2:] == [(group, name) for group in ("plant", "servers", "mean") for name in ("vae", "z score")]
    assert (cells["plant", "vae"][0], cells["plant", "z score"][0]) == ("**0.300**", "**0.300**")
    assert (cells["mean", "vae"][0], cells["mean", "z score"][0]) == ("**0.500**", "0.200")
    assert (cells["plant", "vae"][6], cells["plant", "z score"][6]) == ("**0.600**", "-")
    assert all(len(row) == len(DETECTION) for row in cells.values())


def test_fewer_false_alarms_are_better() -> None:
    runs = [run("plant", 42, vae={"false_alarms_per_day": 2.0}, z_score={"false_alarms_per_day": 1.0})]
    text = as_markdown(table(means(runs), ALARMS, markdown=True))
    assert "**1.000**" in text
    assert "**2.000**" not in text


def test_the_files_have_runs_and_means(tmp_path: Path) -> None:
    summary = means(RUNS)
    write(RUNS, summary, tmp_path / "before")
    content = json.loads((tmp_path / "before.json").read_text())
    assert content["runs"] == RUNS
    rows = list(csv.DictReader((tmp_path / "before.csv").open()))
    assert [row["group"] for row in rows] == [row["group"] for row in content["means"]]
    assert float(rows[0]["mean"]) == pytest.approx(0.3)
    assert (tmp_path / "before.md").read_text().count("\n") == 2 * (2 + 6) + 1

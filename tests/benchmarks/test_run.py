import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from benchmarks.cli import Sizes, bench, check_disk, default_repeats
from benchmarks.measure import PROJECT
from benchmarks.stages import STAGES
from benchmarks.workspace import Workspace

NAMES, LAST = [stage.name for stage in STAGES], "scale_dataframes"


@pytest.mark.slow
def test_the_first_stages_on_little_data(tmp_path: Path) -> None:
    work, results = tmp_path / "work", tmp_path / "results"
    options = ["--rows", "2000", "--channels", "4", "--repeats", "1", "--until", LAST]
    subprocess.run(
        [sys.executable, PROJECT / "benchmarks" / "run.py", *options, "--work-dir", work, "--results-dir", results],
        check=True,
        timeout=300,
    )
    assert list(work.iterdir()) == []
    assert sorted(file.suffix for file in results.iterdir()) == [".html", ".json", ".md"]
    content = json.loads(next(results.glob("*.json")).read_text())
    stages = {stage["stage"]: stage for stage in content["stages"]}
    assert list(stages) == NAMES[: NAMES.index(LAST) + 1]
    floors = {name: set(stage["floor"]) for name, stage in stages.items()}
    assert floors["run_dask_preprocessing"] == floors["scale_dataframes"] == {"read", "write"}
    for views in ("split_parquet_file", "create_train_val_test_split"):
        assert floors[views] == floors["fit_scaler"] == {"read"}
    assert all(stage["process_bytes"] > 2**20 and stage["rows"] == 2000 for stage in stages.values())


def test_sizes_are_sorted_and_different() -> None:
    assert Sizes().convert("1_000_000, 2000,2000", None, None) == [2000, 1_000_000]


@pytest.mark.parametrize("text", ["", "1e6", "1999", "2000;3000", "-5000"])
def test_sizes_that_cannot_be_measured_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2000"):
        Sizes().convert(text, None, None)


def test_large_sizes_run_once() -> None:
    assert [default_repeats(rows) for rows in (20_000, 100_000, 1_000_000, 1_000_001)] == [1, 3, 3, 1]


def test_a_disk_that_would_be_filled_is_refused_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="--work-dir"):
        check_disk(Workspace(tmp_path, rows=10**14, channels=181, epochs=1), tmp_path)


def test_every_command_of_a_stage_exists() -> None:
    from container_component_src.main import COMMANDS

    assert {stage.name.split(",")[0] for stage in STAGES} <= set(COMMANDS)
    assert bench.name == "bench"

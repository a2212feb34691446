"""Commands do not import libraries that they do not use; each import would be paid at every start.

Some libraries are imported by calls of others, such as pandas by pyarrow, so the data steps run on a few rows.
"""

from pathlib import Path

import numpy as np
import pytest

from container_component_src.steps.data import SETS
from tests import data_steps
from tests.helpers import found_by, report, telemetry, write_archive, write_dataset, write_reports

MODEL = {"distributed", "kserve", "kubernetes", "optuna", "plotly", "s3fs", "scipy.stats", "sklearn", "sympy"}
COMPILER = {"torch._dynamo.eval_frame", "torch._inductor", "torch._decomp", "torch.export.exported_program"}
COMPILER |= {"torch.ao.quantization", "torch.distributions.distribution", "torch.masked.maskedtensor"}
SCIPY = {
    f"scipy.{part}" for part in ("integrate._ode", "interpolate._bsplines", "optimize._optimize", "stats._stats_py")
}
NOT_IMPORTED = {
    "drift.detection": MODEL | {"lightning", "pandas", "plotly", "pyarrow", "torch"},
    "drift.result": MODEL | {"lightning", "pandas", "pyarrow", "scipy", "torch"},
    "console.server": MODEL | COMPILER | {"lightning", "pandas.core", "scipy", "torch"},
    "evaluation.comparison": COMPILER | SCIPY | {"lightning", "pandas", "rich", "sklearn.cluster._dbscan"},
    "evaluation.evaluator": MODEL | {"lightning", "pandas", "scipy", "torch"},
    "evaluation.gate": MODEL | {"lightning", "pandas", "pyarrow", "scipy", "torch"},
    "model.calibration": MODEL | COMPILER | {"lightning", "pandas", "scipy"},
    "model.scoring": MODEL | {"lightning", "pandas", "scipy", "torch"},
    "model.training": MODEL | COMPILER | {"torchmetrics.functional"},
    "promotion.comparison": MODEL | COMPILER | {"lightning", "pandas"},
    "promotion.result": MODEL | {"lightning", "pandas", "pyarrow", "scipy", "torch"},
    "report.headline": MODEL | {"fsspec", "lightning", "pandas", "pyarrow", "scipy", "torch"},
    "report.page": (MODEL | {"fsspec", "lightning", "pandas", "scipy", "torch"}) - {"plotly"},
    "report.trials": MODEL | {"lightning", "pandas", "pyarrow", "scipy", "torch"},
    "serving.client.query": MODEL | {"lightning", "scipy", "torch"},
    "serving.server.server": (MODEL | COMPILER | {"lightning", "pandas.core", "requests"}) - {"kserve"},
    "special_functions": MODEL | {"numpy.f2py", "scipy._lib._array_api"},
    "backends.local.dask": (MODEL | {"lightning", "pandas", "scipy", "torch"}) - {"distributed"},
}


def imported(code: str, unwanted: set[str]) -> set[str]:
    """Return which modules a process imports that runs code."""
    return unwanted & {*found_by(f"import sys\n{code}\nfound = [*sys.modules]")}


@pytest.mark.slow
@pytest.mark.parametrize("module", NOT_IMPORTED)
def test_libraries_of_others_are_not_imported(module: str) -> None:
    # KServe parses the command line when it is imported.
    code = f"sys.argv = ['main.py']\nimport container_component_src.{module}"
    assert imported(code, NOT_IMPORTED[module]) == set()


@pytest.mark.slow
def test_a_run_in_containers_needs_no_library_that_computes() -> None:
    assert imported("import pipeline.local", {"lightning", "numpy", "pandas", "pyarrow", "scipy", "torch"}) == set()


@pytest.mark.slow
def test_the_list_of_runs_needs_neither_kfp_nor_a_library_that_computes() -> None:
    assert imported("import pipeline.runs", {"kfp", "numpy", "pandas", "pyarrow", "scipy", "torch"}) == set()
    assert imported("import pipeline.remote.history", {"numpy", "pandas", "pyarrow", "scipy", "torch"}) == set()


def test_data_steps_need_no_library_but_pyarrow(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "2023.parquet", telemetry(rows=300))
    reports = write_reports(tmp_path / "reports.csv", report((100, 110)))
    dataset, labels, scaler = tmp_path / "dataset", tmp_path / "labels", tmp_path / "scaler.json"
    write_dataset(dataset, np.random.default_rng(0).normal(size=(300, 2)))
    sets = [tmp_path / name for name in SETS]
    commands = [
        data_steps.list_archives(archive, reports),
        data_steps.split(archive, tmp_path / "split"),
        data_steps.label(dataset, reports, labels),
        [*data_steps.three_way(dataset, labels, tmp_path), "--window-hours", "0.2", "--block-hours", "0.2"],
        data_steps.fit(sets[0], scaler),
        data_steps.scale(scaler, sets, tmp_path),
    ]
    texts = [[str(part) for part in command] for command in commands]
    code = f"from container_component_src.main import main\nassert [main(c) for c in {texts}] == [0] * {len(texts)}"
    assert (
        imported(code, MODEL | {"fsspec", "lightning", "openpyxl", "pandas", "pyarrow.compute", "scipy", "torch"})
        == set()
    )

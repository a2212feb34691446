"""Command lines of the data steps, for a call or a process; paths or URIs in, a list of arguments out."""

import json
from collections.abc import Sequence
from pathlib import Path

from container_component_src.steps.data import SETS

Uri = Path | str


def list_archives(archives: Uri, reports: Uri) -> list[object]:
    """`list_archives`."""
    return ["list_archives", "--archives-path", archives, "--reports-path", reports]


def split(archive: Uri, target: Uri) -> list[object]:
    """`split_parquet_file`, two row groups a file."""
    return ["split_parquet_file", "--file-path", archive, "--target-path", target, "--rowgroups-per-file", 2]


def preprocess(paths: Sequence[Uri], target: Uri, sample_frac: object = 1) -> list[object]:
    """`run_dask_preprocessing` with one worker."""
    listed = json.dumps([str(path) for path in paths])
    return [
        *("run_dask_preprocessing", "--partitioned-telemetry-paths", listed, "--df-out-path", target),
        *("--sample-frac", sample_frac, "--num-dask-workers", 1),
    ]


def label(dataset: Uri, reports: Uri, target: Uri) -> list[object]:
    """`label_telemetry`."""
    return ["label_telemetry", "--df-path", dataset, "--reports-path", reports, "--labels-path", target]


def three_way(dataset: Uri, labels: Uri, folder: Uri) -> list[object]:
    """`create_train_val_test_split` into the four sets in a folder."""
    targets = [part for name in SETS for part in (f"--{name}-df-path", f"{folder}/{name}")]
    return ["create_train_val_test_split", "--df-path", dataset, "--labels-path", labels, *targets]


def fit(train: Uri, scaler: Uri, kind: str = "standard") -> list[object]:
    """`fit_scaler`."""
    return ["fit_scaler", "--train-df-path", train, "--scaler-type", kind, "--scaler-path", scaler]


def scale(scaler: Uri, sources: Sequence[Uri], folder: Uri) -> list[object]:
    """`scale_dataframes` from the four sets into scaled_train and so on in a folder."""
    named = list(zip(SETS, sources, strict=True))
    sources_ = [part for name, source in named for part in (f"--{name}-df-path", source)]
    targets = [part for name in SETS for part in (f"--scaled-{name}-df-path", f"{folder}/scaled_{name}")]
    return ["scale_dataframes", "--scaler-path", scaler, *sources_, *targets]

"""Views: manifests that name rows of another dataset, and their state after something happened to that dataset."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.telemetry import dataset_writer
from container_component_src.telemetry.dataset import Dataset, read_together
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.runs import runs_of
from container_component_src.telemetry.views import MANIFEST_NAME
from tests.helpers import MINUTE, START, TIME, nanoseconds, write_dataset

VALUES = np.arange(40, dtype=np.float32).reshape(20, 2)


def _view(of: Dataset, uri: str, rows: list[int]) -> Dataset:
    """Write a view of some rows of a dataset."""
    chosen, parts, first = np.zeros(of.manifest.rows, dtype=bool), [], 0
    chosen[rows] = True
    for partition, frame in zip(of.manifest.partitions, of.frames(()), strict=True):
        mask = chosen[first : (first := first + len(frame))]
        if mask.any():
            times = frame.timestamps[mask]
            ranges = tuple((start, stop) for start, stop in runs_of(mask).tolist())
            parts.append(
                Partition(file=partition.file, rows=len(times), start=int(times[0]), end=int(times[-1]), ranges=ranges)
            )
    with DatasetWriter(uri, TIME, of.channels) as writer:
        return writer.commit_view(of.view(parts, {}))


def _example(folder: Path) -> None:
    """Write a dataset `d` and a view `v` of its rows 2 to 8 and 12."""
    _view(write_dataset(folder / "d", VALUES, partition_rows=10), str(folder / "v"), [*range(2, 9), 12])


def _change(**changes: object) -> Callable[[Path], object]:
    """Return a change of the view's manifest."""

    def change(folder: Path) -> None:
        file = folder / "v" / MANIFEST_NAME
        described = json.loads(file.read_text())
        text = {key: value.format(folder=folder) if isinstance(value, str) else value for key, value in changes.items()}
        file.write_text(json.dumps({**described, **text}))

    return change


def _ranges(*ranges: object, rows: int = 7) -> Callable[[Path], object]:
    """Return a change of the ranges of the view's first file."""

    def change(folder: Path) -> None:
        parts: list[dict[str, Any]] = json.loads((folder / "v" / MANIFEST_NAME).read_text())["partitions"]
        _change(partitions=[{**parts[0], "rows": rows, "ranges": ranges}, *parts[1:]])(folder)

    return change


OTHER_ROWS = "{folder}/v: {folder}/d does not have the rows that the manifest lists"
NO_CACHE = "the pipeline with --no-cache"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (
        lambda folder: shutil.rmtree(folder / "d"),
        "{folder}/v is a view of {folder}/d: no such dataset .*" + NO_CACHE,
    ),
    "moved": (lambda folder: (folder / "d").rename(folder / "e"), "is a view of {folder}/d: no such dataset"),
    "unfinished": (
        lambda folder: (folder / "d" / MANIFEST_NAME).write_bytes(b""),
        "{folder}/v is a view of {folder}/d: unfinished dataset .*" + NO_CACHE,
    ),
    "written again": (lambda folder: write_dataset(folder / "d", VALUES, partition_rows=10), OTHER_ROWS),
    "replaced by a view": (lambda folder: shutil.copy(folder / "v/_manifest.json", folder / "d"), "refers to itself"),
    "of itself": (_change(source="{folder}/v"), "{folder}/v: damaged manifest \\(the view refers to itself\\)"),
    "of a file": (_change(source="{folder}/v/_manifest.json"), "a file, not a dataset"),
    "of nothing": (_change(source=""), "no such file, but the manifest lists it"),
    "other channels": (_change(channels=["a", "z"]), "{folder}/v: {folder}/d does not have the column 'z'"),
    "another time": (_change(timestamp_col="z"), "{folder}/v: {folder}/d does not have the column 'z'"),
    "negative rows": (_ranges([-7, 0]), OTHER_ROWS),
    "backwards": (_ranges([8, 1]), OTHER_ROWS),
    "overlapping": (_ranges([0, 4], [3, 6]), OTHER_ROWS),
    "no ranges": (_ranges(), OTHER_ROWS),
    "beyond the file": (_ranges([4, 11]), OTHER_ROWS),
    "too large for an index": (_ranges([0, 10**30]), OTHER_ROWS),
    "another number": (_ranges([0, 6]), OTHER_ROWS),
    "other rows": (_ranges([1, 8]), "not the file that the manifest describes"),
    "three numbers": (_ranges([1, 2, 3]), "damaged manifest"),
    "half a row": (_ranges([0.5, 7.5]), "damaged manifest"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_view_of_a_dataset_that_changed(name: str, tmp_path: Path) -> None:
    change, problem = BROKEN[name]
    _example(tmp_path)
    change(tmp_path)
    with pytest.raises(InputError, match=problem.format(folder=tmp_path)) as caught:
        Dataset.open(str(tmp_path / "v")).load()
    assert "\n" not in str(caught.value)


ROWS = st.lists(st.integers(0, 19), min_size=1, unique=True).map(sorted)


@given(rows=ROWS, size=st.integers(1, 20), data=st.data())
def test_a_view_of_a_view_has_the_rows_of_both(
    rows: list[int], size: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("views")
    inner = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    whole = write_dataset(folder / "d", VALUES, partition_rows=size)
    outer_view = _view(whole, str(folder / "outer"), rows)
    _view(outer_view, str(folder / "inner"), inner)
    views = {name: Dataset.open(str(folder / name)) for name in ("outer", "inner")}
    expected = {"outer": np.array(rows), "inner": np.array(rows)[inner]}
    together: dict[str, list[Any]] = {name: [] for name in views}
    for name, frame in read_together(views, ("b",)):
        together[name].append(frame.values[:, 0])
    for name, view in views.items():
        frame = view.load()
        np.testing.assert_array_equal(frame.values, VALUES[expected[name]])
        np.testing.assert_array_equal(frame.timestamps, nanoseconds(START) + expected[name] * MINUTE)
        np.testing.assert_array_equal(np.concatenate(together[name]), VALUES[expected[name], 1])


def test_a_step_does_not_empty_the_dataset_of_a_view_that_it_reads(tmp_path: Path) -> None:
    _example(tmp_path)
    view = Dataset.open(str(tmp_path / "v"))
    assert view.folders == (view.location, storage.resolve(str(tmp_path / "d")))
    with pytest.raises(InputError, match="the step uses this folder already"):
        DatasetWriter(str(tmp_path / "d"), TIME, view.channels, sources=view.folders)
    assert len(view.load()) == 8


def test_a_view_in_s3_with_an_endpoint(bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _view(write_dataset(f"{bucket}/d", VALUES, partition_rows=10), f"{bucket}/a b/v", [3, 4, 11])
    monkeypatch.delenv("S3_ENDPOINT")
    view = Dataset.open(f"{bucket}/a b/v", f"http://{s3_endpoint}")
    np.testing.assert_array_equal(view.load().values, VALUES[[3, 4, 11]])


def test_a_manifest_that_would_be_too_large_to_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_dataset(tmp_path / "d", VALUES)
    monkeypatch.setattr(dataset_writer, "MAX_MANIFEST_BYTES", 600)
    _view(whole, str(tmp_path / "few"), [1, 3])
    with pytest.raises(InputError, match=r"a manifest of .* set split_storage to copy"):
        _view(whole, str(tmp_path / "many"), list(range(0, 20, 2)))

"""Overview of the telemetry: spans and gaps for any partitioning, and splits that belong together."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.report.overview import Spans, join_spans, read_overview, read_spans
from container_component_src.steps.data import SETS
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.manifest import Partition
from tests.evaluation.cases import CHANNELS, ROWS, SECOND, START, Case, write_case

HOUR = 3600 * SECOND


def opened(case: Case) -> dict[str, Dataset]:
    return {name: Dataset.open(getattr(case, name)) for name in SETS}


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=12), st.integers(1, 9))
def test_joined_spans_cover_all_times_and_lie_apart(starts_and_lengths: list[tuple[int, int]], longest: int) -> None:
    spans = np.array([(start, start + length) for start, length in starts_and_lengths], dtype=np.int64)
    times = np.unique(np.concatenate([np.arange(start, end + 1) for start, end in spans]))
    pieces = np.split(times, np.flatnonzero(np.diff(times) > longest) + 1)
    assert join_spans([spans[:3], spans[3:]], longest).tolist() == [[piece[0], piece[-1]] for piece in pieces]


@pytest.mark.parametrize("cuts", [(), (1,), (3, 4), (2, 3, 5)])
def test_spans_end_at_gaps_but_not_at_partitions(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    timestamps = np.array([0, 1, 2, 50, 51, 52], dtype=np.int64) * SECOND
    with DatasetWriter(str(tmp_path), "normalizedTime", CHANNELS) as writer:
        for part in np.split(np.arange(6), cuts):
            writer.write(Frame(timestamps[part], np.zeros((len(part), len(CHANNELS)), dtype=np.float32)))
        dataset = writer.commit()
    (spans,) = read_spans({"train": dataset}, 10 * SECOND).values()
    assert spans.tolist() == [[0, 2 * SECOND], [50 * SECOND, 52 * SECOND]]


def test_a_file_that_the_sets_share_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.open(write_case(tmp_path).whole)
    views = {}
    for name, (first, stop) in {"train": (0, 200), "test": (200, 400)}.items():
        times = dataset.read(dataset.manifest.partitions[0], ()).timestamps[first:stop]
        part = dataset.manifest.partitions[0].model_copy(
            update={"rows": 200, "start": times[0], "end": times[-1], "ranges": ((first, stop),)}
        )
        views[name] = dataset.view([part], {})
    opened_files: list[str] = []
    opening = Dataset.open_partition

    def counted(of: Dataset, part: Partition) -> pq.ParquetFile:
        opened_files.append(part.file)
        return opening(of, part)

    monkeypatch.setattr(Dataset, "open_partition", counted)
    spans = read_spans(views, 10 * SECOND)
    assert {name: found.tolist() for name, found in spans.items()} == {
        "train": [[START, START + 199 * SECOND]],
        "test": [[START + 200 * SECOND, START + 399 * SECOND]],
    }
    assert len(opened_files) == 1


def test_overview_of_the_whole_telemetry(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    overview = read_overview(Dataset.open(case.whole), opened(case), 10 * SECOND)
    assert (overview.rows, overview.channels) == (4 * ROWS, len(CHANNELS))
    assert overview.split_rows == dict.fromkeys(SETS, ROWS)
    assert (overview.start, overview.end) == (START, START + (4 * ROWS - 1) * SECOND)
    assert len(overview.gap_seconds) == 0  # a split begins where another ends
    assert overview.missing == {"fan": 3}
    assert overview.left_out == {"mode": "text", "": "index of the rows"}
    assert overview.notes == {"sample_frac": 0.5}


def test_rejects_splits_of_other_data(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    datasets = opened(case)
    for name in SETS:
        others = {other: dataset for other, dataset in datasets.items() if other != name}
        with pytest.raises(InputError, match="1600 rows, but its splits have 1200"):
            read_overview(Dataset.open(case.whole), others, 1)


def test_spans_with_short_gaps_are_joined() -> None:
    spans: Spans = np.array([(10 * number, 10 * number + 4) for number in range(100)], dtype=np.int64)
    assert len(join_spans([spans], 5)) == 100
    assert join_spans([spans], 6).tolist() == [[0, 994]]

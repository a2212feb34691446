import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from container_component_src.telemetry import dataset_writer
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.write_behind import WriteBehind


def test_an_error_of_a_write_behind_is_raised(tmp_path: Path) -> None:
    frame = Frame(np.arange(3), np.zeros((3, 1), np.float32))
    with DatasetWriter(str(tmp_path / "d"), "t", ("a",)) as writer:
        writer.write = mock.Mock(side_effect=[None, OSError("full")])  # type: ignore[method-assign]
        with pytest.raises(OSError, match="full"), WriteBehind() as behind:
            behind.write(writer, frame)
            behind.write(writer, frame)
    assert writer.write.call_count == 2


def test_partitions_are_in_order_of_time_whichever_is_written_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_is_written, write_partition = threading.Event(), dataset_writer.write_partition

    def first_waits(file, timestamp_col, timestamps, columns):  # type: ignore[no-untyped-def]
        if timestamps[0] == 0:
            assert second_is_written.wait(60)
        written = write_partition(file, timestamp_col, timestamps, columns)
        second_is_written.set()
        return written

    monkeypatch.setattr(dataset_writer, "write_partition", first_waits)
    with DatasetWriter(str(tmp_path / "d"), "t", ("a",)) as writer:
        with WriteBehind() as behind:
            for first in (0, 3, 6):
                behind.write(writer, Frame(np.arange(first, first + 3), np.zeros((3, 1), np.float32)))
        dataset = writer.commit()
    assert [partition.start for partition in dataset.manifest.partitions] == [0, 3, 6]
    names = [partition.file for partition in dataset.manifest.partitions]
    assert names == sorted(names)

from pathlib import Path

import numpy as np
import pytest

from container_component_src import storage
from container_component_src.alarms.tracker import ChannelShare, Memory, Span
from container_component_src.errors import InputError
from container_component_src.stream.marks import Mark
from container_component_src.stream.state import StoredRows, StreamState, read_state, write_state

OPTIONS = {"input": "-", "skip_missing": False}


def state() -> StreamState:
    span = Span(5, 7, 9, 3, 8, 1 / 3, (ChannelShare("a", 0.1 + 0.2),))
    return StreamState(
        options=OPTIONS,
        model_version="abc",
        channels=("a", "b"),
        context=StoredRows.of([1, 2], np.array([[0.1, np.nan], [1e300, -0.0]])),
        tracker=Memory(span, True, 9),
        offsets={"0": 7},
        events_end=Mark(position=12, checksum=7),
        counts={"rows": 2},
    )


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    location = storage.resolve(str(tmp_path / "state.json"))
    assert read_state(location, OPTIONS) is None
    write_state(location, state())
    found = read_state(location, OPTIONS)
    assert found == state()
    timestamps, values = found.context.arrays(2)
    assert timestamps.tolist() == [1, 2]
    np.testing.assert_array_equal(values, [[0.1, np.nan], [1e300, -0.0]])
    assert np.signbit(values[1, 1])
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_the_state_of_another_stream(tmp_path: Path) -> None:
    location = storage.resolve(str(tmp_path / "state.json"))
    write_state(location, state())
    with pytest.raises(InputError, match="the state of a stream with --skip-missing False, not True; name another"):
        read_state(location, OPTIONS | {"skip_missing": True})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no state of a stream"),
        ("{}", "no state of a stream"),
        (state().model_copy(update={"format_version": 2}).model_dump_json(), "no state of a stream"),
        (state().model_copy(update={"channels": ("a",)}).model_dump_json(), "damaged state of a stream"),
    ],
)
def test_a_file_that_is_no_state(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(InputError, match=reason):
        read_state(storage.resolve(str(tmp_path / "state.json")), OPTIONS)

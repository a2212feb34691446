import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.telemetry.series import EvenSample


@given(pieces=st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any), most=st.integers(1, 9))
def test_an_even_sample_does_not_depend_on_the_pieces(pieces: list[int], most: int) -> None:
    rows = sum(pieces)
    series, sample = np.arange(rows), EvenSample(rows, most)
    found = [part[sample.of(len(part))] for part in np.split(series, np.cumsum(pieces)[:-1])]
    expected = series[EvenSample(rows, most).of(rows)]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert expected[0] == 0
    assert len(expected) <= most
    assert len({*np.diff(expected).tolist()}) <= 1

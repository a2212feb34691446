from hypothesis import given
from hypothesis import strategies as st

from container_component_src.repetition import first_repeated
from tests.helpers import Counting


@given(names=st.lists(st.sampled_from([*"abcdef"])))
def test_first_repeated_name_equals_brute_force(names: list[str]) -> None:
    expected = next((name for index, name in enumerate(names) if name in names[:index]), None)
    assert first_repeated(names) == expected


def test_repeated_name_is_found_in_one_pass() -> None:
    names = [Counting(number) for number in range(10_000)]
    with Counting.few(3 * 10_000):
        assert first_repeated([*names, Counting(9_999)]) == "9999"

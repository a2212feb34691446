from hypothesis import given
from hypothesis import strategies as st

from container_component_src.repetition import first_repeated


class Counting(str):
    """Name that counts its comparisons."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Counting.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@given(names=st.lists(st.sampled_from([*"abcdef"])))
def test_first_repeated_name_equals_brute_force(names: list[str]) -> None:
    expected = next((name for index, name in enumerate(names) if name in names[:index]), None)
    assert first_repeated(names) == expected


def test_repeated_name_is_found_in_one_pass() -> None:
    Counting.comparisons = 0
    names = [Counting(number) for number in range(10_000)]
    assert first_repeated([*names, Counting(9_999)]) == "9999"
    assert Counting.comparisons < 100  # names with equal hashes

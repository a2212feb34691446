import threading
from collections.abc import Iterator

import pytest

from container_component_src.ahead import ahead


def test_items_come_in_order_and_a_few_are_prepared_before() -> None:
    prepared: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(5):
            prepared.append(number)
            if number == 2:
                third.set()
            yield number

    yielded = ahead(items(), 2)
    assert next(yielded) == 0
    assert third.wait(60)  # the one that is out, and two more
    assert prepared == [0, 1, 2]
    assert list(yielded) == [1, 2, 3, 4]


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    yielded = ahead(items(), 3)
    assert next(yielded) == 1
    with pytest.raises(ValueError, match="broken"):
        next(yielded)


def test_nothing_is_prepared_after_the_end() -> None:
    threads = threading.active_count()
    yielded = ahead(iter(range(100)), 2)
    assert next(yielded) == 0
    assert isinstance(yielded, Iterator)
    del yielded
    assert threading.active_count() == threads
    assert list(ahead(iter(()), 2)) == []

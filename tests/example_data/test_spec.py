from typing import Any

import pytest

from container_component_src.errors import InputError
from container_component_src.example_data import ExampleDataSpec


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"seed": -1}, "seed -1"),
        ({"channels": 0}, "channels 0"),
        ({"channels": 221}, "channels 221"),
        ({"anomalies": -1}, "anomalies -1"),
        ({"row_group_rows": 0}, "row_group_rows 0"),
        ({"years": ()}, "years"),
        ({"years": (2022, 2022)}, "years"),
        ({"years": (22,)}, "years 22"),
        ({"rows": 399, "anomalies": 0}, "rows 399.*need 400"),
        ({"rows": 699, "anomalies": 28}, "rows 699.*need 700"),
    ],
)
def test_values_out_of_range(values: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        ExampleDataSpec(**values)


def test_rows_are_distributed_evenly_over_the_years() -> None:
    spec = ExampleDataSpec(years=(2020, 2021, 2022))
    assert [spec.share(11, position) for position in range(3)] == [4, 4, 3]

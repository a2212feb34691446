from datetime import UTC, datetime, timedelta, timezone

import pytest

from container_component_src.errors import InputError
from container_component_src.steps.drift import CheckDrift, time_of
from container_component_src.values import validated


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T12:00:05Z", datetime(2024, 1, 31, 12, 0, 5, tzinfo=UTC)),
        ("2024-01-31T12:00+02:00", datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_times_without_a_zone_are_in_utc(text: str, time: datetime) -> None:
    assert time_of(text) == time


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "31.1.2024"}, "'31.1.2024' is not a time in ISO 8601"),
        ({"since": "2024-01-31T12:00Z", "until": "2024-01-31T12:00"}, "--since .* is not before --until"),
        ({"since": "2024-01-31", "hours": 2}, "--since and --hours exclude each other"),
        ({"hours": 0}, "hours"),
        ({"alpha": 1}, "alpha"),
        ({"outside_limit": 1.1}, "outside_limit"),
    ],
)
def test_wrong_periods_and_limits_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validated(CheckDrift, {"bundle_path": "bundle", **options})

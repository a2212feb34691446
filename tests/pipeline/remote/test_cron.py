import pytest

from container_component_src.errors import InputError
from pipeline.remote.cron import normalise_cron


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("30 3 * * 1", "0 30 3 * * 1"),
        (" 0  30 3 * *  1 ", "0 30 3 * * 1"),
        ("*/5 0-23/2 1,15 jan-Mar MON-FRI", "0 */5 0-23/2 1,15 jan-Mar MON-FRI"),
        ("59 23 31 12 6", "0 59 23 31 12 6"),
        ("10/15 * ? * 0", "0 10/15 * ? * 0"),
    ],
)
def test_five_fields_get_seconds(text: str, cron: str) -> None:
    assert normalise_cron(text) == cron


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 *", "does not have five or six fields"),
        ("", "does not have five or six fields"),
        ("61 3 * * *", "'61' is not a valid minute; use numbers from 0 to 59"),
        ("60 0 3 * * *", "'60' is not a valid second"),
        ("0 24 * * *", "'24' is not a valid hour"),
        ("0 3 0 * *", "'0' is not a valid day of month; use numbers from 1 to 31"),
        ("0 3 32 * *", "'32' is not a valid day of month"),
        ("0 3 * 13 *", "'13' is not a valid month"),
        ("0 3 * * 7", "'7' is not a valid day of week; use numbers from 0 to 6"),
        ("0 3 * * fun", "'fun' is not a valid day of week"),
        ("0 5-3 * * *", "'5-3' is not a valid hour"),
        ("*/0 3 * * *", "'*/0' is not a valid minute"),
        ("0 3, * * *", "'3,' is not a valid hour"),
        ("0 -3 * * *", "'-3' is not a valid hour"),
        ("\u0663 3 * * *", "is not a valid minute"),
    ],
)
def test_invalid_field_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        normalise_cron(text)
    assert message in str(caught.value)

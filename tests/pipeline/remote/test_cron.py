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
def test_seconds_are_put_before_five_fields(text: str, cron: str) -> None:
    assert normalise_cron(text) == cron


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 *", "give five fields"),
        ("", "give five fields"),
        ("61 3 * * *", "'61' is no minute: give numbers from 0 to 59"),
        ("60 0 3 * * *", "'60' is no second"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 3 0 * *", "'0' is no day of month: give numbers from 1 to 31"),
        ("0 3 32 * *", "'32' is no day of month"),
        ("0 3 * 13 *", "'13' is no month"),
        ("0 3 * * 7", "'7' is no day of week: give numbers from 0 to 6"),
        ("0 3 * * fun", "'fun' is no day of week"),
        ("0 5-3 * * *", "'5-3' is no hour"),
        ("*/0 3 * * *", "'*/0' is no minute"),
        ("0 3, * * *", "'3,' is no hour"),
        ("0 -3 * * *", "'-3' is no hour"),
        ("\u0663 3 * * *", "is no minute"),
    ],
)
def test_what_the_api_server_would_refuse_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        normalise_cron(text)
    assert message in str(caught.value)

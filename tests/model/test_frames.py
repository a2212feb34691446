import pytest

from container_component_src.errors import InputError
from container_component_src.model.frames import check_channels
from tests.model.datasets import CHANNELS
from tests.serving.bundles import bundle_info


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (CHANNELS[:-1], "it lacks 'humidity'"),
        ((*CHANNELS, "noise"), "it also has 'noise'"),
        (("pressure", "heat", *CHANNELS[2:]), "it lacks 'temperature'"),
        (
            ("temperature", "pressure", *CHANNELS[2:]),
            "the model: channel 0 is 'temperature' instead of 'pressure'",
        ),
    ],
)
def test_other_channels(names: tuple[str, ...], message: str) -> None:
    info = bundle_info().model_copy(update={"channels": CHANNELS})
    check_channels(info, list(CHANNELS))
    with pytest.raises(InputError, match=message):
        check_channels(info, names)

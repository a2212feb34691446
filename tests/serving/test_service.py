import pytest

from container_component_src.errors import InputError
from container_component_src.serving.service import Service, SmokeRequest

REQUEST = SmokeRequest(instances=({"a": 1.0},), scores=(1.0,))


@pytest.mark.parametrize("name", ["", "Eclss", "1eclss", "eclss-", "ec_lss", "e" * 52])
def test_a_name_that_kubernetes_refuses_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"service name '{name}'"):
        Service(name, "bundle", REQUEST, "digest")


@pytest.mark.parametrize("name", ["e", "columbus-eclss-ad", "e" * 51])
def test_other_names_are_taken(name: str) -> None:
    assert Service(name, "bundle", REQUEST, "digest").name == name

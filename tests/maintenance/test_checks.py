"""Checks that the doctor and the preflight share."""

import pytest

from container_component_src.maintenance.checks import check_registries


@pytest.mark.parametrize(
    ("repository", "policy", "refused"),
    [
        ("columbus", "IfNotPresent", True),
        ("team/columbus", "Always", True),
        ("columbus", "Never", False),
        ("docker.io/team/columbus", "Always", False),
        ("localhost:5000/columbus", "Always", False),
        ("localhost/columbus", "IfNotPresent", False),
    ],
)
def test_image_without_a_registry_is_refused_if_it_may_be_pulled(repository: str, policy: str, refused: bool) -> None:
    found = check_registries([f"{repository}:1", "r.io/columbus-cuda:1"], policy)
    assert [check.failed for check in found] == ([True] if refused else [])
    for check in found:
        assert check.detail == f"{repository}:1 names no registry, so nodes ask Docker Hub for it"
        assert f"as REGISTRY/{repository} " in check.fix

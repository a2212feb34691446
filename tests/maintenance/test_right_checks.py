from pathlib import Path

import pytest

from container_component_src.cluster.rights import RIGHTS
from container_component_src.maintenance.checks import Check
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import Invoke, assert_refused
from tests.maintenance.clusters import ACCOUNT, COMMAND


def test_pod_checks_its_own_account(
    ready: Emulator, invoke: Invoke, found: dict[str, Check], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account of a profile may query only its own rights."""
    account = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    monkeypatch.setenv("KUBECONFIG", str(ready.kubeconfig(tmp_path / "pod", account)))
    ready.fail("POST", "/localsubjectaccessreviews$", 403, times=99)
    for options in ([], ["--service-account", ACCOUNT]):
        assert invoke(*COMMAND, *options).code == 0
        assert found["account"].detail == f"service account {ACCOUNT} of namespace {NAMESPACE}"
        assert len([name for name in found if name.startswith("right to ")]) == len(RIGHTS)
    assert invoke(*COMMAND, "--service-account", "other").code == 1
    assert found["rights"].detail == "there is no service account other"


@pytest.mark.parametrize("account", ["", ACCOUNT])
def test_missing_rights_are_named(ready: Emulator, invoke: Invoke, found: dict[str, Check], account: str) -> None:
    ready.api.denied = {("delete", "experiments"), ("get", "pods/log")}
    assert_refused(invoke(*COMMAND, "--service-account", account), "2 of", code=1)
    failed = {name: check.detail.rpartition("may not ")[2] for name, check in found.items() if check.failed}
    assert failed == {"right to experiments.kubeflow.org": "delete", "right to pods/log": "get"}


def test_missing_account_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND, "--service-account", "nobody"), "rights", code=1)
    assert found["rights"].detail == "there is no service account nobody"

import socket
from pathlib import Path

import pytest

from container_component_src.maintenance import doctor
from container_component_src.maintenance.checks import Check
from tests.helpers import Invoke, assert_refused, report, write_archive, write_reports


@pytest.mark.parametrize(
    ("running", "ok"), [((3, 10), False), ((3, 11), True), ((3, 12), True), ((3, 13), True), ((3, 14), False)]
)
def test_python(running: tuple[int, int], ok: bool) -> None:
    assert doctor.check_python(running).ok == ok


def test_packages() -> None:
    assert all(doctor.check_package(*package).ok for package in doctor.PACKAGES.items())
    assert not doctor.check_package("no-such-distribution", "os").ok
    assert not doctor.check_package("click", "no_such_module").ok


def test_disk(tmp_path: Path) -> None:
    new = tmp_path / "not" / "yet"
    check = doctor.check_disk(new, minimum=1)
    assert check.ok
    assert str(tmp_path) in check.detail
    assert not new.exists()
    assert not doctor.check_disk(tmp_path, minimum=2**62).ok
    (tmp_path / "file").touch()
    assert "is not writable" in doctor.check_disk(tmp_path / "file", minimum=1).detail


def test_memory() -> None:
    assert doctor.check_memory(minimum=1).ok
    assert not doctor.check_memory(minimum=2**62).ok


def test_shared_memory(tmp_path: Path) -> None:
    assert doctor.check_shared_memory(tmp_path, minimum=1).ok
    assert not doctor.check_shared_memory(tmp_path, minimum=2**62).ok
    assert not doctor.check_shared_memory(tmp_path / "none").ok


def test_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_loopback().ok

    def refuse(*_: object) -> socket.socket:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert doctor.check_loopback() == Check(
        "loopback ports", False, "Operation not permitted", "allow connections to 127.0.0.1"
    )


def test_command_prints_all_checks_and_names_the_failed_ones(tmp_path: Path, invoke: Invoke) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((0, 60)))
    outcome = invoke("doctor", "--archives-path", tmp_path / "none", "--reports-path", reports, "--work-dir", tmp_path)
    assert_refused(outcome, "1 of ", "checks failed: archives; ", code=1)
    for name in ("Python", "package torch", "disk", "memory", "shared memory", "loopback ports", "archives", "reports"):
        assert name in outcome.stdout
    assert "[paths]" in outcome.stdout  # brackets are text, not markup


def test_command_succeeds_if_all_checks_pass(tmp_path: Path, invoke: Invoke) -> None:
    write_archive(tmp_path / "2023.parquet")
    outcome = invoke("doctor", "--archives-path", tmp_path, "--work-dir", tmp_path)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "1 archives" in outcome.stdout
    assert "failed" not in outcome.stdout


def test_check_of_a_cluster_needs_a_namespace(invoke: Invoke) -> None:
    assert_refused(invoke("doctor", "--backend", "kubernetes"), "--namespace")

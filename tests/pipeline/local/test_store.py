import json
import os
from pathlib import Path

import pytest

from container_component_src.errors import InputError
from pipeline.local import store


def entry(cache: Path, name: str, value: object, used: float = 0.0) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{name}.json"
    path.write_text(json.dumps(value))
    os.utime(path, (used, used))
    return path


def output(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("content")
    return path


def test_digest_depends_on_content_names_and_environment(tmp_path: Path) -> None:
    source = tmp_path / "container_component_src" / "model"
    source.mkdir(parents=True)
    (source / "a.py").write_text("a = 1")
    digests = [store.source_digest(tmp_path, {})]
    (source / "a.py").write_text("a = 2")
    digests.append(store.source_digest(tmp_path, {}))
    (source / "a.py").rename(source / "b.py")
    digests.append(store.source_digest(tmp_path, {}))
    (tmp_path / "poetry.lock").write_text("lock")
    digests.append(store.source_digest(tmp_path, {}))
    digests.append(store.source_digest(tmp_path, {"A": "1"}))
    assert len(set(digests)) == 5


def test_digest_of_an_image_ignores_the_sources(tmp_path: Path) -> None:
    (tmp_path / "poetry.lock").write_text("a = 1")
    before = store.source_digest(tmp_path, {}, "sha256:1")
    (tmp_path / "poetry.lock").write_text("a = 2")
    assert store.source_digest(tmp_path, {}, "sha256:1") == before
    assert store.source_digest(tmp_path, {}, "sha256:2") != before


def test_digest_ignores_bytecode_the_configuration_and_other_files(tmp_path: Path) -> None:
    source = tmp_path / "container_component_src"
    (source / "__pycache__").mkdir(parents=True)
    (source / "a.py").write_text("a = 1")
    before = store.source_digest(tmp_path, {})
    (source / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    (tmp_path / "README.md").write_text("text")
    (tmp_path / "config.toml").write_text("[parameters]")  # steps get what it says as arguments
    assert store.source_digest(tmp_path, {}) == before


def test_prune_keeps_only_outputs_named_by_an_entry(tmp_path: Path) -> None:
    caches, outputs = tmp_path / "cache", tmp_path / "outputs"
    kept = [
        output(outputs / "run-1" / "split" / "parts" / "0.parquet"),
        output(outputs / "run-1" / "train" / "model"),
        output(outputs / "run-2" / "loop" / "x" / "deep.txt"),
        output(outputs / "run-3" / "pattern" / "part.parquet"),
    ]
    gone = [
        output(outputs / "run-1" / "split" / "executor_output.json"),
        output(outputs / "run-1" / "train" / "unnamed"),
        output(outputs / "run-2" / "other" / "x"),
        output(outputs / "run-4" / "stale" / "x"),
    ]
    entry(caches / "new", "a", {"parts": {"uri": str(kept[0].parent)}, "model": {"uri": str(kept[1])}})
    entry(
        caches / "new",
        "b",
        {"uri": f"{kept[2].parent}\n", "paths": [f"{kept[3].parent}/*.parquet"], "missing": f"{outputs}/run-9/x"},
    )
    entry(caches / "old", "c", {"uri": str(gone[3])})
    broken = caches / "new" / "broken.json"
    broken.write_text("{")
    log = output(store.log_of(broken))
    store.prune(caches, outputs, "new")
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)
    assert not (outputs / "run-4").exists()
    assert not (caches / "old").exists()
    assert not broken.exists()
    assert not log.exists()


def test_prune_without_entries_removes_all_outputs(tmp_path: Path) -> None:
    output(tmp_path / "outputs" / "run" / "step" / "x")
    store.prune(tmp_path / "cache", tmp_path / "outputs", "digest")
    assert list((tmp_path / "outputs").iterdir()) == []


def test_entries_unused_by_three_successful_runs_are_removed(tmp_path: Path) -> None:
    old, used = entry(tmp_path, "old", {}, used=100.5), entry(tmp_path, "used", {}, used=100.5)
    logs = [output(store.log_of(path)) for path in (old, used)]
    for started in (100.0, 200.0, 300.0):
        store.forget_unused_entries(tmp_path, started)
        assert old.exists()
    os.utime(used, (350.0, 350.0))
    store.forget_unused_entries(tmp_path, 400.0)
    assert not old.exists()
    assert used.exists()
    assert [log.exists() for log in logs] == [False, True]


def test_directory_is_locked_during_a_run(tmp_path: Path) -> None:
    with (
        store.exclusive(tmp_path),
        pytest.raises(InputError, match="another local run uses"),
        store.exclusive(tmp_path),
    ):
        pass
    with store.exclusive(tmp_path):
        pass

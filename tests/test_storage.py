"""Local files, and S3 objects on a real HTTP server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.storage import Location, resolve
from container_component_src.telemetry.parquet import open_parquet


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder that does not exist, on disk and in a bucket."""
    base: str = request.getfixturevalue("bucket") if request.param == "s3" else str(tmp_path)
    return f"{base}/a/b"


def _names(folder: str) -> list[str]:
    return [child.name for child in resolve(folder).children()]


def test_local_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for uri in (
        "~/data/x",
        "file://~/data/x",
        "data/x",
        f"{tmp_path}/data/x",
        f"file://{tmp_path}/data/x",
        "./data/x",
        f"{tmp_path}/data/x/",
    ):
        location = resolve(uri)
        assert location.is_local
        assert (location.path, location.uri, location.name) == (f"{tmp_path}/data/x", f"{tmp_path}/data/x", "x")
    assert resolve("~").path == str(tmp_path)
    assert resolve("~$x").path == f"{tmp_path}/~$x"


@pytest.mark.parametrize(
    "uri", ["s3://bucket/a/b", "minio://bucket/a/b", "/minio/bucket/a/b", "s3://bucket/a/b/", "minio://bucket/a/b/"]
)
def test_s3_forms(uri: str) -> None:
    location = resolve(uri, "127.0.0.1:9")
    assert not location.is_local
    assert (location.path, location.uri, location.name) == ("bucket/a/b", "s3://bucket/a/b", "b")
    assert (location / "c").uri == "s3://bucket/a/b/c"
    assert resolve(location.uri, "127.0.0.1:9") == location


def test_minio_path_of_a_copy_by_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {Path("/minio/bucket/run"), Path("/minio/bucket")}
    monkeypatch.setattr(Path, "is_dir", lambda path: path in made)
    assert resolve("/minio/bucket/run/model").path == "/minio/bucket/run/model"
    assert resolve("/minio/bucket/run/model").is_local
    assert resolve("/minio/bucket/other/model", "127.0.0.1:9").uri == "s3://bucket/other/model"
    assert resolve("minio://bucket/run/model", "127.0.0.1:9").uri == "s3://bucket/run/model"  # not a path in a pod


@pytest.mark.parametrize(
    "uri", ["", "gs://bucket/a", "https://host/a", "hdfs://a", "s3://", "minio:///", "s3:/bucket/a"]
)
def test_invalid_uris(uri: str) -> None:
    with pytest.raises(InputError, match="empty path" if not uri else f"^{uri}: "):
        resolve(uri)


def test_write_read_list_remove(folder: str) -> None:
    assert not resolve(folder).exists()
    assert resolve(folder).children() == []
    (resolve(folder) / "y").write_bytes(b"second")
    (resolve(folder) / "x").write_bytes(b"first")
    (resolve(folder) / "sub" / "z").write_bytes(b"")
    assert _names(folder) == ["sub", "x", "y"]
    assert [child.uri for child in resolve(folder).children()] == [f"{folder}/{name}" for name in ("sub", "x", "y")]
    assert resolve(f"{folder}/x").read_bytes() == b"first"
    assert resolve(f"{folder}/sub/z").read_bytes() == b""
    assert resolve(f"{folder}/x").is_file()
    assert not resolve(folder).is_file()
    assert resolve(folder).exists()

    (resolve(folder) / "x").write_bytes(b"third")
    assert resolve(f"{folder}/x").read_bytes() == b"third"
    resolve(f"{folder}/x").remove()
    resolve(f"{folder}/x").remove()  # no error
    assert _names(folder) == ["sub", "y"]
    resolve(folder).remove()
    assert not resolve(folder).exists()
    assert _names(folder) == []


@pytest.mark.parametrize("name", ["absent", ""])
def test_reading_an_absent_file_or_a_folder(name: str, folder: str) -> None:
    (resolve(folder) / "x").write_bytes(b"1")
    with pytest.raises(InputError, match=r"no such file|not a regular file"):
        resolve(f"{folder}/{name}").read_bytes()


def test_size_limit(folder: str) -> None:
    (resolve(folder) / "x").write_bytes(b"12345")
    assert (resolve(folder) / "x").read_bytes(5) == b"12345"
    with pytest.raises(InputError, match="x: larger than 4 bytes"):
        (resolve(folder) / "x").read_bytes(4)


def test_path_with_nul() -> None:
    for uri in ("a\0b", "s3://bucket/a\0b", "file:///a\0"):
        with pytest.raises(InputError, match="null character"):
            resolve(uri)


def test_fingerprint_changes_with_the_content(folder: str) -> None:
    file = resolve(folder) / "x"
    file.write_bytes(b"one")
    first = file.fingerprint()
    assert first == resolve(f"{folder}/x").fingerprint()
    file.write_bytes(b"two")
    if file.is_local:
        os.utime(file.path, ns=(0, 1_234_567_891))  # file systems have coarse clocks
    assert file.fingerprint() != first
    file.write_bytes(b"longer")
    assert file.fingerprint().startswith("6-")


def _chunks(size: int) -> Iterator[bytes]:
    """A number of MiB."""
    yield from (bytes(1 << 20) for _ in range(size))


@pytest.mark.parametrize("size", [1, 40])  # more than two parts of an upload
def test_aborted_output_leaves_nothing(size: int, folder: str) -> None:
    with pytest.raises(ZeroDivisionError), (resolve(folder) / "x").open_output() as output:
        for chunk in _chunks(size):
            output.write(chunk)
        raise ZeroDivisionError
    assert _names(folder) == []
    if not resolve(folder).is_local:
        assert resolve(folder).fs.list_multipart_uploads(resolve(folder).path.partition("/")[0]) == []
    with (resolve(folder) / "x").open_output() as output:
        output.write(b"whole")
    assert resolve(f"{folder}/x").read_bytes() == b"whole"


def test_aborted_output_keeps_the_previous_file(folder: str) -> None:
    file = resolve(folder) / "x"
    file.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), file.open_output() as output:
        output.write(b"after")
        raise KeyboardInterrupt
    assert file.read_bytes() == b"before"
    assert _names(folder) == ["x"]


def test_output_that_is_a_device_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("/dev/full")
    for path in ("/dev/full", str(tmp_path / "x")):
        with pytest.raises(InputError, match=f"{path}: the output is a file, but this is a device"):
            resolve(path).write_bytes(b"1")
    assert Path("/dev/full").is_char_device()
    assert (tmp_path / "x").is_symlink()


@pytest.mark.parametrize("exists", [False, True])
def test_output_through_a_link(exists: bool, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    if exists:
        (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    resolve(str(tmp_path / "link")).write_bytes(b"1")
    assert (tmp_path / "folder" / "file").read_bytes() == b"1"
    assert (tmp_path / "link").is_symlink()


def test_output_appears_when_it_is_complete(folder: str) -> None:
    with (resolve(folder) / "x").open_output() as output:
        output.write(b"1")
        assert not (resolve(folder) / "x").exists()
    assert _names(folder) == ["x"]


def test_large_upload(bucket: str) -> None:
    with resolve(f"{bucket}/large").open_output() as output:
        for chunk in _chunks(60):
            output.write(chunk)
    assert resolve(f"{bucket}/large").fingerprint().startswith(f"{60 << 20}-")


def test_pyarrow_round_trip(folder: str) -> None:
    file = resolve(folder) / "x.parquet"
    with file.open_output() as output:
        pq.write_table(pa.table({"a": [1, 2, 3]}), output)
    with open_parquet(file, "write it again") as parquet:
        assert parquet.read().column("a").to_pylist() == [1, 2, 3]


def test_changes_by_other_processes_are_visible(bucket: str, s3_endpoint: str) -> None:
    import s3fs

    other = s3fs.S3FileSystem(
        key="key", secret="secret", endpoint_url=f"http://{s3_endpoint}", use_listings_cache=False
    )
    folder = resolve(f"{bucket}/a")
    assert folder.children() == []
    other.pipe_file(f"{folder.path}/x", b"1")
    assert folder.exists()
    first = (folder / "x").fingerprint()
    other.pipe_file(f"{folder.path}/x", b"2")
    assert (folder / "x").fingerprint() != first
    other.pipe_file(f"{folder.path}/y", b"2")
    folder.remove()
    assert other.find(folder.path) == []


def test_bucket_is_emptied_and_kept(bucket: str) -> None:
    (resolve(bucket) / "a" / "x").write_bytes(b"1")
    (resolve(bucket) / "y").write_bytes(b"2")
    resolve(bucket).remove()
    assert _names(bucket) == []
    (resolve(bucket) / "y").write_bytes(b"2")
    assert _names(bucket) == ["y"]


def test_explicit_endpoint_takes_precedence(bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("S3_USE_HTTPS", "false")
    assert resolve(f"{bucket}/x", s3_endpoint).exists() is False
    resolve(f"{bucket}/x", s3_endpoint).write_bytes(b"1")
    assert resolve(f"{bucket}/x", f"http://{s3_endpoint}").read_bytes() == b"1"


def test_failed_write_names_its_file(tmp_path: Path) -> None:
    location = resolve(str(tmp_path / "x"))
    with pytest.raises(OSError, match="No space left") as caught, location.open_output() as output:
        output.write(b"1")
        Path("/dev/full").write_bytes(b"1")
    assert caught.value.filename == str(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_locations_are_compared_by_value() -> None:
    assert resolve("/data/x") == resolve("file:///data/x")
    assert isinstance(resolve("/data/x") / "y", Location)
    assert storage.resolve("/data/x/").name == "x"

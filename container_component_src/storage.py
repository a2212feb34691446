"""One place for files: local paths and S3 objects behind the same few calls.

Accepted URIs: a path (also `~/…`), `file://…`, `s3://bucket/key`, and the two forms in which KFP hands out objects of
its artifact store, `minio://bucket/key` and `/minio/bucket/key` (the object, unless the launcher keeps a copy on the
pod's disk).
S3 settings come from the environment, see `s3_settings`. A store that is away is waited for, and only a file that is
truly absent counts as absent, see `s3_store`.
"""

import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import fsspec
from fsspec import AbstractFileSystem

from container_component_src.errors import NO_ROOM, InputError, PipelineError, StepError
from container_component_src.s3_settings import QUICK_SECONDS, S3_ENVIRONMENT, patience, s3_options

__all__ = ["QUICK_SECONDS", "S3_ENVIRONMENT", "Location", "patience", "remove_all", "resolve", "s3_options"]

if TYPE_CHECKING:
    import pyarrow.fs

_S3_PREFIXES = ("s3://", "minio://", "/minio/")
_TEMPORARY_SUFFIX = ".tmp"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Location:
    """A file or folder in a file system."""

    fs: AbstractFileSystem
    path: str  # as the file system knows it: absolute for local files, bucket/key for S3

    @property
    def is_local(self) -> bool:
        """Whether this is a file of this machine."""
        return "file" in _protocols(self.fs)

    @property
    def uri(self) -> str:
        """The address that resolves to this location again."""
        return self.path if self.is_local else f"s3://{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def arrow_fs(self) -> "pyarrow.fs.FileSystem":
        """The file system for pyarrow: its own for local files, this one behind an adapter for the rest."""
        import pyarrow.fs  # noqa: PLC0415 - whoever only submits runs has no pyarrow

        if self.is_local:
            return pyarrow.fs.LocalFileSystem()
        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(self.fs))

    def __truediv__(self, name: str) -> "Location":
        return Location(self.fs, f"{self.path.rstrip('/')}/{name}")

    def exists(self) -> bool:
        """Whether a file or folder is there; raises what `S3Store` does where the store cannot tell."""
        return bool(self.fs.exists(self.path))

    def is_file(self) -> bool:
        """Whether a file is there, and not a folder."""
        return bool(self.fs.isfile(self.path))

    def children(self) -> list["Location"]:
        """Files and folders directly below, sorted by name; none where there is no such folder."""
        try:
            found = self.fs.ls(self.path, detail=False) if self.is_local else self.fs.names(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [
            Location(self.fs, path.rstrip("/")) for path in sorted(found) if path.rstrip("/") != self.path.rstrip("/")
        ]

    def read_bytes(self) -> bytes:
        """The whole file.

        Raises:
            InputError: There is no such file.
        """
        try:
            return bytes(self.fs.cat_file(self.path))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise InputError(f"{self.uri}: no such file; check the path") from error

    def fingerprint(self) -> str:
        """Changes whenever the file does: size with etag (S3) or modification time in nanoseconds."""
        info = self.fs.info(self.path)
        version = info.get("ETag") or os.stat(self.path).st_mtime_ns  # noqa: PTH116 - a Path would be made to be thrown away
        return f"{info['size']}-{str(version).strip(chr(34))}"

    def remove(self) -> None:
        """Delete the file or the whole folder; a bucket is emptied but kept, and nothing happens where nothing is.

        Raises:
            InputError: The store does not let this key delete.
        """
        if not self.is_local:
            self.fs.delete(self.fs.find(self.path))
        elif self.exists():
            self.fs.rm(self.path, recursive=True)

    @contextmanager
    def open_output(self) -> Iterator[IO[bytes]]:
        """Write a file that appears under its name only when it is whole.

        Local files are written under a temporary name and renamed; S3 objects appear when their upload completes, and
        the upload is given up where the block raises.

        Raises:
            StepError: The object could not be uploaded.
        """
        if self.is_local:
            temporary = Path(f"{self.path}.{uuid.uuid4().hex[:8]}{_TEMPORARY_SUFFIX}")
            temporary.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    yield file
                temporary.replace(self.path)
            except OSError as error:
                if error.errno in NO_ROOM:
                    error.filename = self.path  # a failed write does not say of itself which file it was
                raise
            finally:
                temporary.unlink(missing_ok=True)
            return
        upload = self.fs.open(self.path, "wb")
        try:
            yield upload
            try:
                upload.close()
            except FileNotFoundError as error:
                raise StepError(f"{self.uri}: not written ({error}); run the step again") from error
        except BaseException:
            _give_up(upload, self.uri)
            raise

    def write_bytes(self, content: bytes) -> None:
        """Write a small file at once."""
        with self.open_output() as file:
            file.write(content)


def resolve(uri: str, endpoint: str = "", environment: Mapping[str, str] = os.environ) -> Location:
    """Find the file system of a URI.

    Args:
        uri: One of the forms named at the top of this module.
        endpoint: S3 endpoint that wins over `S3_ENDPOINT`; with or without scheme.
        environment: Where the S3 settings are looked up.

    Raises:
        InputError: The URI is empty, of an unknown kind or without a bucket.
    """
    if not uri:
        raise InputError("an empty path was given; name a file or folder")
    for prefix in _S3_PREFIXES:
        if uri.startswith(prefix) and not _is_launcher_scratch(uri):
            path = uri.removeprefix(prefix).strip("/")
            if not path:
                raise InputError(f"{uri}: names no bucket; give an address like s3://bucket/key")
            from container_component_src.s3_store import S3Store  # noqa: PLC0415 - slow, and local files need it not

            return Location(S3Store(**s3_options(environment, endpoint)), path)
    if "://" in uri and not uri.startswith("file://"):
        raise InputError(f"{uri}: unknown kind of address; use a path, file://, s3:// or minio://")
    file = Path(uri.removeprefix("file://"))
    if uri.startswith("~/"):  # no shell has expanded it where it stands in a configuration file
        file = file.expanduser()
    return Location(fsspec.filesystem("file"), str(file.absolute()))


def remove_all(files: Sequence[Location]) -> None:
    """Delete files of one folder, in this order; those that are gone already do not matter.

    Raises:
        InputError: The store does not let this key delete.
    """
    for file in files:
        if file.is_local:
            Path(file.path).unlink(missing_ok=True)
    if remote := [file for file in files if not file.is_local]:
        remote[0].fs.delete([file.path for file in remote])


def _give_up(upload: Any, uri: str) -> None:
    """Forget an upload; a store that lets nobody delete may keep the parts that it has."""
    upload.closed = True  # closing would complete it
    try:
        upload.discard()
    except (PipelineError, OSError) as error:
        logger.info("%s: parts of an upload that was given up are left: %s", uri, error)


def _is_launcher_scratch(uri: str) -> bool:
    """Whether KFP's launcher made the folder of this `/minio/…` path on the pod's disk, to transfer what lies in it."""
    return uri.startswith("/minio/") and Path(uri).parent.is_dir()


def _protocols(fs: AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)

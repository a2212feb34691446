"""Files on local paths and in S3 stores behind one interface.

Accepted URIs: a path (also `~/…`), `file://…`, `s3://bucket/key`, and the two forms that KFP uses for objects of its
artifact store, `minio://bucket/key` and `/minio/bucket/key` (the object, unless the launcher keeps a copy on the pod's
disk).
`s3_settings` describes the settings of S3 stores. Requests to an unavailable store are retried, and only a file that
does not exist counts as absent, see `s3_store`.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from container_component_src.errors import NO_ROOM, InputError, PipelineError, StepError
from container_component_src.files import SMALL_BYTES, check_output, check_size, read_regular
from container_component_src.names import S3_PREFIXES, check_uri
from container_component_src.s3_settings import QUICK_SECONDS, S3_ENVIRONMENT, patience, s3_options
from container_component_src.values import describe, in_home

__all__ = [
    "QUICK_SECONDS",
    "S3_ENVIRONMENT",
    "Location",
    "patience",
    "read_document",
    "remove_all",
    "resolve",
    "s3_options",
]

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_TEMPORARY_SUFFIX = ".tmp"

Document = TypeVar("Document", bound=BaseModel)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Location:
    """A file or folder of this machine, or in a store."""

    store: "AbstractFileSystem | None"  # None: this machine
    path: str  # absolute for local files, bucket/key for S3

    @property
    def is_local(self) -> bool:
        """Whether this is a file of this machine."""
        return self.store is None

    @property
    def fs(self) -> "AbstractFileSystem":
        """File system of fsspec, with the methods that this class does not have."""
        if self.store is not None:
            return self.store
        from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415 - slow, and rarely needed

        return LocalFileSystem()

    @property
    def uri(self) -> str:
        """URI that resolves to this location."""
        return self.path if self.is_local else f"s3://{self.path}"

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def __truediv__(self, name: str) -> "Location":
        return Location(self.store, f"{self.path.rstrip('/')}/{name}")

    def exists(self) -> bool:
        """Return whether a file or folder exists; raise the errors of `S3Store` if the store cannot tell."""
        return Path(self.path).exists() if self.is_local else bool(self.fs.exists(self.path))

    def is_file(self) -> bool:
        """Return whether a file exists here that is not a folder."""
        return Path(self.path).is_file() if self.is_local else bool(self.fs.isfile(self.path))

    def children(self) -> list["Location"]:
        """Return the files and folders directly below, sorted by name; empty if there is no such folder."""
        try:
            found = [str(path) for path in Path(self.path).iterdir()] if self.is_local else self.fs.names(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [
            Location(self.store, path.rstrip("/"))
            for path in sorted(found)
            if path.rstrip("/") != self.path.rstrip("/")
        ]

    def read_bytes(self, limit: int | None = SMALL_BYTES) -> bytes:
        """Return the content of the file.

        Args:
            limit: Most bytes that it may have; None for any number.

        Raises:
            InputError: There is no such file, it is not a regular one, or it is too large.
        """
        if self.is_local:
            return read_regular(Path(self.path), limit)
        try:
            if limit is not None:
                check_size(self.uri, self.fs.size(self.path) or 0, limit)
            return bytes(self.fs.cat_file(self.path))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise InputError(f"{self.uri}: no such file", fix="check the path") from error

    def fingerprint(self) -> str:
        """Return a text that changes if the file does: size with ETag (S3) or modification time in nanoseconds."""
        if self.is_local:
            status = Path(self.path).stat()
            return f"{status.st_size}-{status.st_mtime_ns}"
        info = self.fs.info(self.path)
        return f"{info['size']}-{str(info['ETag']).strip(chr(34))}"

    def remove(self) -> None:
        """Delete the file or folder if it exists; a bucket is emptied and kept.

        Raises:
            InputError: The key has no permission to delete.
        """
        if not self.is_local:
            self.fs.delete(self.fs.find(self.path))
        elif Path(self.path).is_dir() and not Path(self.path).is_symlink():
            shutil.rmtree(self.path)
        else:
            Path(self.path).unlink(missing_ok=True)

    def check_output(self, folder: bool = False) -> None:
        """Check that a file or folder can be written here, as far as this is known before it is.

        Raises:
            InputError: Something of another kind is here, such as a device, or a parent folder is a file.
        """
        if self.is_local:
            check_output(Path(self.path), folder)

    def open(self) -> IO[bytes]:
        """Open the file for reading."""
        if self.is_local:
            return Path(self.path).open("rb")
        opened: IO[bytes] = self.fs.open(self.path, "rb")
        return opened

    @contextmanager
    def open_output(self) -> Iterator[IO[bytes]]:
        """Open a file for writing that appears under its name only when it is complete.

        Local files are written under a temporary name and renamed; a link is followed. S3 objects appear when their
        upload completes; the upload is aborted if the block raises.

        Raises:
            InputError: Something else than a file is here, see `check_output`.
            StepError: The object could not be uploaded.
        """
        self.check_output()
        with self._local_output() if self.is_local else self._upload() as file:
            yield file

    @contextmanager
    def _local_output(self) -> Iterator[IO[bytes]]:
        target = Path(os.path.realpath(self.path))
        temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}{_TEMPORARY_SUFFIX}")
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
            temporary.replace(target)
        except OSError as error:
            if error.errno in NO_ROOM:
                error.filename = self.path  # a failed write does not name its file
            raise
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _upload(self) -> Iterator[IO[bytes]]:
        from container_component_src.s3_upload import Upload  # noqa: PLC0415 - slow, and not for local files

        upload = Upload(self.fs, self.path)
        try:
            yield upload
            try:
                upload.close()
            except FileNotFoundError as error:
                raise StepError(f"{self.uri}: not written ({error})", fix="run the step again") from error
        except BaseException:
            _abort(upload, self.uri)
            raise

    def write_bytes(self, content: bytes) -> None:
        """Write a small file."""
        with self.open_output() as file:
            file.write(content)


def resolve(uri: str, endpoint: str = "", environment: Mapping[str, str] | None = None) -> Location:
    """Return the location of a URI.

    Args:
        uri: In one of the forms that the module's docstring lists.
        endpoint: S3 endpoint that takes precedence over `S3_ENDPOINT`; with or without scheme.
        environment: Variables with the S3 settings; see `s3_settings.s3_options` for the default.

    Raises:
        InputError: The URI is empty, has no bucket or an unknown scheme, or an S3 setting is invalid.
    """
    try:
        check_uri(uri)
    except ValueError as error:
        raise InputError(str(error)) from error
    for prefix in S3_PREFIXES:
        if uri.startswith(prefix) and not _is_launcher_copy(uri):
            path = uri.removeprefix(prefix).strip("/")
            from container_component_src.s3_store import S3Store  # noqa: PLC0415 - slow, and not for local files

            return Location(S3Store(**s3_options(environment, endpoint)), path)
    file = Path(in_home(uri.removeprefix("file://")))
    return Location(None, str(file.absolute()))


def read_document(uri: str, model: type[Document], what: str, fix: str) -> Document:
    """Read a JSON file, and check it.

    Args:
        uri: URI of the file.
        model: Model of its content.
        what: What the file should be, for the error.
        fix: What to do if it is something else.

    Raises:
        InputError: The file is missing, or is something else.
    """
    content = resolve(uri).read_bytes()
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{uri}: not {what} ({describe(error)})", fix=fix) from error


def remove_all(files: Sequence[Location]) -> None:
    """Delete files of one folder in this order; those that do not exist are ignored.

    Raises:
        InputError: The key has no permission to delete.
    """
    for file in files:
        if file.is_local:
            Path(file.path).unlink(missing_ok=True)
    if remote := [file for file in files if not file.is_local]:
        remote[0].fs.delete([file.path for file in remote])


def _abort(upload: Any, uri: str) -> None:
    """Abort an upload; a store without permission to delete may keep its parts."""
    upload.closed = True  # closing would complete it
    try:
        upload.discard()
    except (PipelineError, OSError) as error:
        logger.info("%s: parts of an aborted upload remain: %s", uri, error)


def _is_launcher_copy(uri: str) -> bool:
    """Return whether KFP's launcher made the parent folder of this `/minio/…` path on the pod's disk."""
    return uri.startswith("/minio/") and Path(uri).parent.is_dir()

"""Opening and reading parquet files, with an error for the user if a file is absent or damaged."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src.errors import InputError
from container_component_src.storage import Location


def open_parquet(file: Location, fix: str) -> pq.ParquetFile:
    """Open a parquet file; this reads its footer and no rows.

    Args:
        file: The file.
        fix: What the user can do if it is absent or damaged.

    Raises:
        InputError: The file is absent, a folder, not parquet or truncated.
    """
    if not file.is_file():
        if file.exists():
            raise InputError(
                f"{file.uri}: a folder, where one parquet file is expected",
                fix="name the folder in [paths] archives if Spark or Dask wrote it, or write its rows to one file",
            )
        raise InputError(f"{file.uri}: no such file", fix=fix)
    with readable(file, fix):
        return pq.ParquetFile(file.path, filesystem=file.arrow_fs, memory_map=file.is_local)


@contextmanager
def readable(file: Location, fix: str) -> Iterator[None]:
    """Convert the errors of pyarrow for damaged content while a parquet file is read.

    Raises:
        InputError: The content is damaged.
    """
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        # A damaged page is a plain OSError without a number; errors of a disk or of S3 have a number or a subclass.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        raise InputError(f"{file.uri}: not a parquet file, truncated or damaged ({error})", fix=fix) from error

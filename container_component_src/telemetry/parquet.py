"""Opening and reading parquet files, with a line for the user where one is absent or damaged."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src.errors import InputError
from container_component_src.storage import Location


def open_parquet(file: Location, fix: str) -> pq.ParquetFile:
    """Open a parquet file; its footer is read, no rows.

    Args:
        file: The file.
        fix: What to do where it is absent or damaged, for the error.

    Raises:
        InputError: It is absent, a folder, not parquet or truncated.
    """
    if not file.is_file():
        if file.exists():
            raise InputError(
                f"{file.uri}: a folder of part files, as Spark and Dask write it, where one file is expected; name the "
                "folder itself in [paths] archives, or write its rows to one file"
            )
        raise InputError(f"{file.uri}: no such file; {fix}")
    with readable(file, fix):
        return pq.ParquetFile(file.path, filesystem=file.arrow_fs, memory_map=file.is_local)


@contextmanager
def readable(file: Location, fix: str) -> Iterator[None]:
    """Report what pyarrow finds wrong inside a parquet file while it is read.

    Raises:
        InputError: The content is damaged.
    """
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        # Damaged pages are a plain OSError without a number; faults of a disk or of S3 have one, or a class.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        raise InputError(f"{file.uri}: not a parquet file, truncated or damaged ({error}); {fix}") from error

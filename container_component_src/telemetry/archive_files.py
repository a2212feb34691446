"""Search for archives by file name, without reading them."""

import logging
from collections.abc import Sequence
from pathlib import PurePosixPath

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.storage import Location

FORMATS = (".parquet", ".csv")
_NAMES_SHOWN = 10

logger = logging.getLogger(__name__)


def find_archives(uri: str, tables: Sequence[str] = ()) -> list[Location]:
    """Return the archives directly below a folder or prefix, sorted by name, or the one that the URI names.

    Hidden files (`.name`, `_name`) and files of other formats are left out and named in the log.

    Args:
        uri: The folder, prefix or file.
        tables: The anomaly reports and others, which may be CSV files in the same folder; an empty one is ignored.

    Raises:
        InputError: There is no archive, or the formats of archives differ.
    """
    location = storage.resolve(uri)
    if _format(location) and location.is_file():
        return [location]
    excluded = {storage.resolve(table).path for table in tables if table}
    found = [file for file in location.children() if file.path not in excluded]
    files = [file for file in found if _is_archive(file)]
    others = [file.name for file in found if not _is_archive(file)]
    if not files:
        packed = any(PurePosixPath(name).stem.lower().endswith(FORMATS) for name in others)  # such as a.csv.gz
        raise InputError(
            f"{uri}: no archives (*.parquet or *.csv) found{f', only {_listed(others)}' if others else ''}",
            fix=f"{'unpack these' if packed else 'put some there'}, or change [paths] archives in config.toml",
        )
    first = {_format(file): file.name for file in reversed(files)}
    if len(first) > 1:
        raise InputError(
            f"{uri}: archives of different formats ({' and '.join(sorted(first.values()))})",
            fix="convert them to one format, or move those away that are no archives",
        )
    if others:
        level = logging.INFO if all(map(_is_hidden, others)) else logging.WARNING
        logger.log(level, "%s: left out %s, which are no archives by their names", uri, _listed(others))
    return files


def archive_name(file: Location) -> str:
    """Return the name of an archive without the ending that tells its format."""
    return file.name.removesuffix(".parquet").removesuffix(".csv")


def _is_archive(file: Location) -> bool:
    return bool(_format(file)) and not _is_hidden(file.name)


def _format(file: Location) -> str:
    ending = PurePosixPath(file.name).suffix.lower()
    return ending if ending in FORMATS else ""


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

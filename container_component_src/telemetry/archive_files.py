"""Search for archives by file name, without reading them."""

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.storage import Location


def find_archives(uri: str) -> list[Location]:
    """Return the parquet files directly below a folder or prefix, sorted by name, or the one that the URI names.

    Raises:
        InputError: There is none.
    """
    location = storage.resolve(uri)
    files = [location] if location.name.endswith(".parquet") and location.exists() else location.children()
    files = [file for file in files if file.name.endswith(".parquet")]
    if not files:
        raise InputError(
            f"{uri}: no archives (*.parquet) found", fix="put some there or change [paths] archives in config.toml"
        )
    return files

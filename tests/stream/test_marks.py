from pathlib import Path

import pytest

from container_component_src.stream.marks import Mark

CONTENT = b"0123456789" * 1000
PLACE = 9000


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        (CONTENT, True),
        (CONTENT + b"more", True),
        (CONTENT[:PLACE], True),
        (CONTENT[: PLACE - 1], False),
        (b"!" + CONTENT, False),
        (CONTENT[: PLACE - 1] + b"!", False),
    ],
)
def test_a_mark_fits_a_file_that_has_only_grown(content: bytes, fits: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        mark = Mark.at(file.fileno(), PLACE)
    path.write_bytes(content)
    with path.open("rb") as file:
        assert mark.fits(file.fileno()) is fits

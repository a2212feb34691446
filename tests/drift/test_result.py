"""Files that hold no check for drift are refused."""

from pathlib import Path

import pytest

from container_component_src.drift.result import DriftReport
from container_component_src.errors import InputError


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_file_that_is_no_check_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "drift.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"drift.json: not a check for drift \(.*\); run check_drift again"):
        DriftReport.read(str(file))

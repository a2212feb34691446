"""Page of the tuning trials: self-contained, in the colours of the report."""

import re
from pathlib import Path

import pytest

from container_component_src.errors import InputError
from container_component_src.report.trials_page import write_trials_page
from tests.report.test_trials import TABLE, write


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    summary = write_trials_page(write(tmp_path, TABLE), str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert summary == {"bytes": len(page.encode()), "trials": 4}
    assert "3 of 4 trials finished. Trial 2 has the smallest validation loss, 40.5 nats per time step." in page
    assert page.count("Plotly.newPlot(") >= 2
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert "rgba(0,114,178,1)" in page  # @score of the light theme
    assert not re.search(r'"@(score|calibrated|muted|panel)', page)


def test_a_damaged_table_writes_no_page(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'state' is missing"):
        write_trials_page(write(tmp_path, "trial,val_loss\n0,1\n"), str(tmp_path / "page.html"))
    assert not (tmp_path / "page.html").exists()

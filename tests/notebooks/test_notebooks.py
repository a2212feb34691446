"""The notebooks, executed as a user would, on small data."""

import ast
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import nbformat
import pytest
from nbclient import NotebookClient

from container_component_src.example_data import ExampleDataSpec, generate

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
LARGEST_EXPONENT = 10  # of anything that a notebook shows
PLOT = "application/vnd.plotly.v1+json"


class Executed:
    """A notebook with its outputs.

    Args:
        name: Of its file.
        environment: Its parameters.
        probe: An expression of literals that is evaluated after the last cell.
    """

    def __init__(self, name: str, environment: dict[str, str], probe: str) -> None:
        notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell(probe))
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "notebooks")}})
        client.execute(env={**os.environ, "PLOTLY_RENDERER": "plotly_mimetype", **environment})
        *self.outputs, (probed,) = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
        self.found: Any = ast.literal_eval(probed["data"]["text/plain"])

        assert self._far_annotations() == []

    @property
    def plots(self) -> int:
        """How many plots it shows."""
        return len(self._figures())

    def _figures(self) -> list[dict[str, Any]]:
        shown = [output.get("data", {}) for outputs in self.outputs for output in outputs]
        return [data[PLOT] for data in shown if PLOT in data]

    def _far_annotations(self) -> list[str]:
        """Texts at places that no data has: on a logarithmic axis, plotly takes the place of a text for an exponent."""
        return [
            annotation["text"]
            for figure in self._figures()
            for annotation in figure["layout"].get("annotations", ())
            for letter in "xy"
            if figure["layout"].get(f"{letter}axis", {}).get("type") == "log"
            and annotation.get(f"{letter}ref", letter) == letter
            and abs(annotation[letter]) > LARGEST_EXPONENT
        ]

    @property
    def warnings(self) -> str:
        """What its cells write to stderr."""
        return "".join(output.text for outputs in self.outputs for output in outputs if output.get("name") == "stderr")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of example data and a working directory of its own."""
    generate(tmp_path / "data", ExampleDataSpec(rows=3000, channels=20, anomalies=4, row_group_rows=500))
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    text = text.replace("local_data/example", str(tmp_path / "data")).replace('"local_data"', f'"{tmp_path / "work"}"')
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stripped(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert notebook["metadata"] == METADATA
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}, cell["id"]
        assert (cell.get("outputs", []), cell.get("execution_count")) == ([], None), cell["id"]
    assert text == json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"  # as Jupyter saves it


@pytest.mark.parametrize(
    ("detected", "event"),
    [
        ((True, True, False), "b: FAN (the last event that was detected)"),
        ((False, False, False), "c: FAN (the last reported event, because none was detected)"),
        (None, "c: FAN (the last reported event, because none was detected)"),
    ],
)
def test_the_query_notebook_opens_at_a_detected_event(
    detected: tuple[bool, ...] | None, event: str, tmp_path: Path
) -> None:
    """Without a run of its own, as with a service elsewhere, there is no evaluation."""
    if detected:
        (tmp_path / "last_run").mkdir()
        (tmp_path / "last_run" / "summary.json").write_text('{"artifacts": {"evaluation": "there"}}')
    notebook = nbformat.read(ROOT / "notebooks" / "03_query_model.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.id == "event"]
    events = [SimpleNamespace(id=name, title="FAN") for name in "abc"]
    tested = [SimpleNamespace(id=name, detected=found) for name, found in zip("abc", detected or (), strict=False)]
    markdown = Mock()
    names = {
        "json": json,
        "work_dir": tmp_path,
        "settings": Mock(),
        "read_reports": Mock(return_value=events),
        "EvaluationResult": Mock(**{"read.return_value.events": tested}),
        "Markdown": markdown,
    }
    exec(cell.source, names)
    markdown.assert_called_once_with(event)


@pytest.mark.slow
def test_exploration(config: Path) -> None:
    probe = "len(timestamps), len(channels), telemetry.npartitions, len(segments), events['id'].tolist(), shifts.shape"
    notebook = Executed("01_exploration.ipynb", {"NOTEBOOK_CONFIG": str(config)}, probe)
    rows, channels, parts, segments, events, shifts = notebook.found
    assert (rows, channels, parts) == (3000, 22, 6)  # with two of whole numbers
    assert segments > 2  # one a year, and gaps within
    assert events == [f"COL-AR-{number:04d}" for number in range(1, 5)]
    assert shifts == (4, 20)
    assert (notebook.plots, notebook.warnings) == (6, "")

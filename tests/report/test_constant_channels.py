"""The report lists the channels that are constant in the training data."""

from pathlib import Path

from container_component_src.evaluation.result import ConstantChannel, Departures, EvaluationResult
from tests.evaluation.cases import SECOND, write_case
from tests.report.cases import evaluated, report


def test_constant_channels_are_listed_with_where_they_moved(tmp_path: Path) -> None:
    case, path = write_case(tmp_path), str(tmp_path / "evaluation.json")
    evaluated(case)
    assert "Channels that are constant in the training data" not in report(case, trials=False).texts
    moved = ConstantChannel(
        channel="valve <2>", constant=0.5, resolution=5e-4,
        calibration=Departures(rows=0, first=None), test=Departures(rows=234, first=1_600_000_000 * SECOND),
    )  # fmt: skip
    still = moved.model_copy(update={"channel": "door", "test": Departures(rows=0, first=None)})
    EvaluationResult.read(path).model_copy(update={"constant_channels": (moved, still)}).write(path)
    text = " ".join(" ".join(report(case, trials=False).texts).split())
    assert "Constant channels 2, of which 1 moved" in text
    cells = text[text.index("valve <2> ") :].replace("\N{EN DASH}", "none").split()
    expected = "valve <2> 0.5 0.0005 0 none 234 2020-09-13 12:26:40 door 0.5 0.0005 0 none 0 none"
    assert cells[: len(expected.split())] == expected.split()

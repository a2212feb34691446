"""The model card: what it says, that it is reproducible, and that it goes with its bundle."""

import json
from pathlib import Path

import pytest

from container_component_src import storage
from container_component_src.model.bundle_info import copy_bundle, open_info
from container_component_src.model.card import ModelCard
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.scaler import Scaler
from tests.evaluation.cases import CHANNELS, make_bundle

CARDS = ("MODEL_CARD.md", "model_card.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_bundle(str(tmp_path / "bundle"))
    return tmp_path / "bundle"


def test_the_card_says_what_the_bundle_knows(folder: Path) -> None:
    info = open_info(str(folder))
    card = ModelCard.model_validate_json((folder / "model_card.json").read_bytes())
    assert card == ModelCard.of(info)
    assert (card.version, card.weights_sha256) == (info.version, info.weights_sha256)
    assert card.channels.varying == CHANNELS
    assert card.alarms is not None
    assert card.alarms.rule == info.calibrated.rule
    assert card.alarms.expected_false_alarms_per_day == info.calibrated.false_alarms_per_day
    text = (folder / "MODEL_CARD.md").read_text()
    for shown in (
        info.version,
        info.weights_sha256,
        "| Training rows | 1,000 |",
        "| Varying (3) | `pressure`, `temperature`, `fan` |",
        "| Starts above, ends at | 8 nats, 8 nats |",
        "| Expected false alarms a day | 1 (95 %: 0.2 to 3.1) |",
        "| python | `3.11` |",
        "## Intended use",
        "## Limits",
    ):
        assert shown in text
    assert "not calibrated" not in text


def test_the_card_is_reproducible_and_no_part_of_the_version(folder: Path, tmp_path: Path) -> None:
    make_bundle(str(tmp_path / "again"))
    for name in CARDS:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        (folder / name).write_text("changed")
    assert open_info(str(folder)) == open_info(str(tmp_path / "again"))


def test_a_copy_has_the_card_and_an_old_bundle_has_none(folder: Path, tmp_path: Path) -> None:
    source, target = storage.resolve(str(folder)), tmp_path / "copy"
    copy_bundle(source, storage.resolve(str(target)))
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    for name in CARDS:
        (folder / name).unlink()
    copy_bundle(source, storage.resolve(str(tmp_path / "old")))
    assert sorted(path.name for path in (tmp_path / "old").iterdir()) == ["bundle.json", "model.safetensors"]


def test_a_model_without_calibration_and_odd_names(folder: Path) -> None:
    names = ("a|b`c", "valve\n7", "fan")
    scaler = Scaler(
        type=ScalerType.ROBUST, channels=names, centre=(0.0,) * 3, scale=(1.0,) * 3, constant=("fan",), absent=("x",)
    )
    changes = {"calibration": None, "channels": names, "scaler": scaler, "constant_spreads": {"fan": 1.0}}
    card = ModelCard.of(open_info(str(folder)).model_copy(update=changes))
    assert card.alarms is None
    text = card.markdown()
    assert "The model is not calibrated: it scores time steps, but raises no alarm." in text
    assert r"| Varying (2) | `` a\|b`c ``, `valve 7` |" in text
    assert "| Constant (1) | `fan` |" in text
    assert "| Without a training value, ignored (1) | `x` |" in text
    assert "departure from this constant alone" in text
    assert json.loads(card.model_dump_json())["channels"]["varying"] == ["a|b`c", "valve\n7"]

"""Access to the store is tested before a training."""

from pathlib import Path

import numpy as np
import pytest

from container_component_src.data_root import WRITE_PROBE
from container_component_src.errors import InputError, PipelineError
from container_component_src.model.data_access import check_access, check_data
from container_component_src.steps.sizes import AvailableMemory
from container_component_src.steps.training import TrainingArguments
from container_component_src.storage import Location, resolve
from tests.helpers import write_dataset

ROOM = AvailableMemory(2**40, "here")


def arguments(root: Path | str, output: str = "model") -> TrainingArguments:
    return TrainingArguments(
        train_df_path=f"{root}/train", val_df_path=f"{root}/val", model_output_file=f"{root}/{output}"
    )


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder with the datasets of a training, on disk and in a store."""
    folder = str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")
    for name in ("train", "val"):
        write_dataset(f"{folder}/{name}", np.zeros((4, 2)))
    return folder


def test_no_file_remains_in_the_bundle_folder(root: str) -> None:
    check_access(arguments(root))
    assert resolve(f"{root}/model").children() == []


def test_missing_dataset_is_named(root: str) -> None:
    missing = arguments(root).model_copy(update={"val_df_path": f"{root}/absent"})
    with pytest.raises(InputError, match="/absent"):
        check_data(missing, ROOM, missing.hyperparameters)


def test_sizes_are_checked_for_the_channels_of_the_data(tmp_path: Path) -> None:
    for name in ("train", "val"):
        write_dataset(tmp_path / name, np.zeros((4, 300)), [f"c{number}" for number in range(300)])
    given = arguments(tmp_path).model_copy(update={"window_steps": 1000})
    check_data(given, AvailableMemory(8 * 2**30, "here"), given.hyperparameters)
    with pytest.raises(InputError, match="window_steps 1000 and 300 channels or more needs at least"):
        check_data(given, AvailableMemory(2**30, "here"), given.hyperparameters)


def test_unwritable_folder_is_named(root: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = f"{tmp_path}/file/model" if root == str(tmp_path) else "s3://no-such-bucket/model"
    with pytest.raises((PipelineError, OSError), match=r"file/model|no-such-bucket"):
        check_access(arguments(root).model_copy(update={"model_output_file": output}))


def test_permission_to_delete_is_not_needed(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(location: Location) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(Location, "remove", refuse)
    check_access(arguments(root))
    assert resolve(f"{root}/model/{WRITE_PROBE}").exists()

import shlex

import pytest

from container_component_src.cli.run_training import run_training
from container_component_src.errors import InputError
from container_component_src.steps.training import (
    Hyperparameters,
    TrainingArguments,
    training_command,
)
from container_component_src.values import validated

PATHS = {"train_df_path": "s3://bucket/train", "val_df_path": "s3://bucket/val", "model_output_file": "s3://bucket/b"}


def test_hyperparameters_come_in_the_forms_of_the_pipeline() -> None:
    given = {"latent_dim": 8.0, "hidden_dims": "128,64", "beta": "0.1", "lr": 1e-05, "batch_size": "1024"}
    expected = Hyperparameters(latent_dim=8, hidden_dims=(128, 64), beta=0.1, lr=1e-5, batch_size=1024)
    assert validated(Hyperparameters, given) == expected
    assert validated(Hyperparameters, {**given, "hidden_dims": [128.0, 64.0]}) == expected
    assert (expected.window_steps, validated(Hyperparameters, {**given, "window_steps": "3"}).window_steps) == (5, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_dim", 0),
        ("latent_dim", 8.5),
        ("hidden_dims", "128"),
        ("hidden_dims", "128,0"),
        ("beta", -1),
        ("beta", float("nan")),
        ("lr", 0),
        ("lr", float("inf")),
        ("batch_size", 0),
        ("seed", -1),
        ("max_epochs", 0),
        ("momentum", 0.9),
    ],
)
def test_a_bad_argument_is_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        validated(TrainingArguments, {**PATHS, name: value})


def test_a_batch_has_rows_for_every_node() -> None:
    assert validated(TrainingArguments, {**PATHS, "batch_size": 1}).batch_size == 1
    with pytest.raises(InputError, match="batch size 5 is too small for 3 nodes"):
        validated(TrainingArguments, {**PATHS, "batch_size": 5, "num_gpu_nodes": 3})


def test_the_command_line_carries_every_argument() -> None:
    arguments = TrainingArguments(
        **PATHS, seed=7, batch_size=256, latent_dim=3, hidden_dims=(12, 6), beta=0.25, lr=1e-5, num_gpu_nodes=2,
        early_stopping_patience=2, max_epochs=9, run_as_pytorchjob=True,
    )  # fmt: skip
    command = training_command(arguments)
    assert command[:3] == ["python", "container_component_src/main.py", "run_training"]
    assert command == shlex.split(" ".join(command))  # needs no quotes
    parsed = run_training.make_context("run_training", command[3:]).params
    assert validated(TrainingArguments, parsed) == arguments

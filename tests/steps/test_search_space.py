from typing import Any

import pytest

from container_component_src.errors import InputError
from container_component_src.steps.training import Hyperparameters
from container_component_src.steps.tuning import SearchSpace, to_dict
from container_component_src.values import validated

OPTIONS: dict[str, list[Any]] = {
    "latent_dims": [4.0, 8],
    "hidden_dims": ["128,64", [64.0, 32]],
    "betas": [1],
    "lrs": [1e-3, 1e-2, 3e-2],
    "batch_sizes": ["128.0"],
    "window_steps": [5],
}


def test_choices_are_parsed_as_the_pipeline_backend_hands_them_on() -> None:
    space = validated(SearchSpace, OPTIONS)
    assert space.latent_dims == (4, 8)
    assert space.hidden_dims == ((128, 64), (64, 32))
    assert space.batch_sizes == (128,)
    assert space.choices()["hidden_dims"] == ("128,64", "64,32")
    assert [type(value) for choices in space.choices().values() for value in choices[:1]] == [
        int, str, float, float, int, int,
    ]  # fmt: skip


def test_points_are_every_combination_once_the_last_choice_fastest() -> None:
    space = validated(SearchSpace, OPTIONS)
    points = [space.point(index) for index in range(space.size)]
    assert space.size == len(set(points)) == 12
    assert [point.lr for point in points[:4]] == [1e-3, 1e-2, 3e-2, 1e-3]
    assert to_dict(points[0]) == {
        "latent_dim": 4, "hidden_dims": "128,64", "beta": 1.0, "lr": 1e-3, "batch_size": 128, "window_steps": 5,
    }  # fmt: skip
    assert to_dict(points[-1])["hidden_dims"] == "64,32"


def test_hyperparameters_survive_the_way_between_steps() -> None:
    point = validated(SearchSpace, OPTIONS).point(7)
    assert validated(Hyperparameters, to_dict(point)) == point
    assert validated(Hyperparameters, {name: str(value) for name, value in to_dict(point).items()}) == point


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("latent_dims", []),
        ("latent_dims", [4, 4.0]),
        ("latent_dims", [0]),
        ("latent_dims", [4.5]),
        ("hidden_dims", ["128"]),
        ("hidden_dims", [5]),
        ("hidden_dims", ["128,-64"]),
        ("hidden_dims", ["128,64", [128, 64]]),
        ("betas", [0]),
        ("betas", [float("nan")]),
        ("lrs", [-1e-3]),
        ("lrs", ["fast"]),
        ("lrs", [float("inf")]),
        ("batch_sizes", [None]),
        ("window_steps", [0]),
        ("window_steps", [10_001]),
    ],
)
def test_bad_choices_are_refused_by_the_name_of_the_option(name: str, choices: list[Any]) -> None:
    with pytest.raises(InputError, match=rf"^key '{name}(\[0\])?(\[1\])?' is wrong: "):
        validated(SearchSpace, {**OPTIONS, name: choices})

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.steps.training import Hyperparameters
from container_component_src.steps.tuning import Algorithm, Experiment, SearchSpace
from container_component_src.tuning.experiment import Trial, TrialState
from container_component_src.tuning.sampling import make_sampler, shuffled_points

SPACE = SearchSpace.model_validate(
    {
        "latent_dims": [4, 8, 16],
        "hidden_dims": ["16,8", "8,4"],
        "betas": [0.5, 1.0],
        "lrs": [1e-3, 1e-2],
        "batch_sizes": [32],
    }
)


def chosen(algorithm: Algorithm, seed: int, space: SearchSpace = SPACE, fails: bool = False) -> list[Hyperparameters]:
    """The points of an experiment of two trials at a time, up to the size of the space."""
    experiment = Experiment(
        **dict(space), algorithm=algorithm, max_trials=99, parallel_trials=2, max_failed_trials=0,
        train_df_path="t", val_df_path="v", max_epochs=1, early_stopping_patience=1, seed=seed, trial_timeout=1,
    )  # fmt: skip
    sampler = make_sampler(experiment)
    points: list[Hyperparameters] = []
    while len(points) < space.size:
        batch = [sampler.ask() for _ in range(min(2, space.size - len(points)))]
        for point in batch:
            points.append(point)
            value = None if fails else abs(point.latent_dim - 8) + point.beta + point.lr
            state = TrialState.FAILED if fails else TrialState.SUCCEEDED
            sampler.tell(Trial(number=len(points), hyperparameters=point, state=state, objective=value, seconds=0))
    return points


def test_an_algorithm_that_only_katib_offers_is_refused() -> None:
    with pytest.raises(InputError, match="use tpe, random or grid with --backend local"):
        chosen(Algorithm.BAYESIAN, seed=1)


@pytest.mark.parametrize("algorithm", [Algorithm.RANDOM, Algorithm.TPE, Algorithm.GRID])
def test_every_point_is_chosen_once_and_the_seed_decides_the_order(algorithm: Algorithm) -> None:
    points = chosen(algorithm, seed=1)
    assert len(set(points)) == len(points) == SPACE.size
    assert chosen(algorithm, seed=1) == points
    assert (chosen(algorithm, seed=2) == points) == (algorithm is Algorithm.GRID)


def test_tpe_survives_trials_without_an_objective() -> None:
    assert len(set(chosen(Algorithm.TPE, seed=1, fails=True))) == SPACE.size


def test_tpe_learns() -> None:
    latent_dims = list(range(1, 21))
    space = SearchSpace.model_validate(
        {
            "latent_dims": latent_dims,
            "hidden_dims": ["16,8"],
            "betas": [0.5, 1.0],
            "lrs": [1e-3, 1e-2],
            "batch_sizes": [32],
        }
    )
    tried_late = chosen(Algorithm.TPE, seed=3, space=space)[20:30]
    tried_at_random = chosen(Algorithm.RANDOM, seed=3, space=space)[20:30]
    assert sum(abs(point.latent_dim - 8) for point in tried_late) < sum(
        abs(point.latent_dim - 8) for point in tried_at_random
    )


def test_grid_goes_through_the_points_in_order() -> None:
    assert chosen(Algorithm.GRID, seed=1) == [SPACE.point(index) for index in range(SPACE.size)]


@given(seed=st.integers(0, 2**32 - 1), sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_shuffled_points_are_a_permutation(seed: int, sizes: tuple[int, int]) -> None:
    space = SearchSpace.model_validate(
        {
            "latent_dims": list(range(1, sizes[0] + 1)),
            "hidden_dims": ["16,8"],
            "betas": [1],
            "lrs": [1e-3],
            "batch_sizes": list(range(1, sizes[1] + 1)),
        }
    )
    points = list(shuffled_points(space, seed))
    assert len(points) == space.size
    assert set(points) == {space.point(index) for index in range(space.size)}


def test_a_huge_search_space_is_not_listed() -> None:
    space = SearchSpace.model_validate(
        {
            "latent_dims": list(range(1, 2001)),
            "hidden_dims": ["16,8"],
            "betas": list(range(1, 2001)),
            "lrs": list(range(1, 2001)),
            "batch_sizes": list(range(1, 2001)),
        }
    )
    points = shuffled_points(space, seed=0)
    assert len({next(points) for _ in range(5)}) == 5

import csv
import io
from typing import Any

import pytest

from container_component_src.errors import InputError, StepError
from container_component_src.steps.tuning import Experiment, SearchSpace
from container_component_src.tuning.experiment import Trial, TrialState, TuningResult
from container_component_src.values import validated

SPACE = SearchSpace.model_validate(
    {"latent_dims": [4, 8], "hidden_dims": ["16,8"], "betas": [1.0], "lrs": [1e-3, 1e-2], "batch_sizes": [32]}
)


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        **dict(SPACE), "algorithm": "random", "max_trials": 3, "parallel_trials": 2, "max_failed_trials": 0,
        "train_df_path": "train", "val_df_path": "val", "max_epochs": 2, "early_stopping_patience": 1, "seed": 5,
        "trial_timeout": 60.0,
    }  # fmt: skip
    return validated(Experiment, values | changes)


def trial(number: int, objective: float | None) -> Trial:
    state = TrialState.FAILED if objective is None else TrialState.SUCCEEDED
    return Trial(number=number, hyperparameters=SPACE.point(number), state=state, objective=objective, seconds=1.234)


def test_there_are_no_more_trials_than_points() -> None:
    assert experiment().trial_count == 3
    assert experiment(max_trials=50, parallel_trials=9).trial_count == 4
    assert experiment(max_trials=50, parallel_trials=9).parallel_count == 4


@pytest.mark.parametrize("change", [{"max_trials": 0}, {"algorithm": "cmaes"}, {"trial_timeout": 0}, {"seed": -1}])
def test_impossible_experiments_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        experiment(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"medianstop_start_step": 3}, "--medianstop-start-step 3 stops no trial of 2 epochs; lower it or raise"),
        ({"max_epochs": 1}, "--medianstop-start-step 2 stops no trial of 1 epochs"),
        ({"medianstop_min_trials_required": 3}, "--medianstop-min-trials-required 3 stops none of 3 trials"),
        (
            {"max_trials": 99, "medianstop_min_trials_required": 4},
            "--medianstop-min-trials-required 4 stops none of 4 trials",
        ),
    ],
)
def test_a_medianstop_that_stops_nothing_is_refused(change: dict[str, Any], message: str) -> None:
    medianstop = {"trial_early_stopping": "medianstop", "medianstop_start_step": 2, "medianstop_min_trials_required": 2}
    assert experiment(**medianstop).trial_early_stopping == "medianstop"
    assert experiment(**{**medianstop, **change, "trial_early_stopping": "none"})
    with pytest.raises(InputError, match=f"^{message}"):
        experiment(**{**medianstop, **change})


def test_arguments_of_a_trial() -> None:
    point = SPACE.model_copy(update={"window_steps": (3,)}).point(3)
    arguments = experiment().arguments(point, "bundle")
    assert arguments.hyperparameters == point
    assert (arguments.train_df_path, arguments.val_df_path) == ("train", "val")
    assert (arguments.max_epochs, arguments.early_stopping_patience, arguments.seed) == (2, 1, 5)
    assert (arguments.model_output_file, arguments.window_steps) == ("bundle", 3)


def test_best_is_the_first_of_the_smallest_objectives() -> None:
    result = TuningResult(trials=(trial(0, None), trial(1, -2.0), trial(2, 5.0), trial(3, -2.0)))
    assert result.best.number == 1
    assert result.metadata() == {
        "trials": 4, "succeeded_trials": 3, "best_trial": 1, "best_val_loss": -2.0, "trial_seconds": 4.9,
    }  # fmt: skip


def test_without_a_succeeded_trial_there_is_no_best() -> None:
    with pytest.raises(StepError, match="none of 1 trials"):
        _ = TuningResult(trials=(trial(0, None),)).best


def test_trials_table() -> None:
    table = TuningResult(trials=(trial(0, 0.1), trial(1, None))).trials_table
    assert table == (
        "trial,state,val_loss,seconds,latent_dim,hidden_dims,beta,lr,batch_size,window_steps\n"
        '0,succeeded,0.1,1.23,4,"16,8",1.0,0.001,32,5\n'
        '1,failed,,1.23,4,"16,8",1.0,0.01,32,5\n'
    )
    rows = list(csv.DictReader(io.StringIO(table)))
    assert rows[0]["hidden_dims"] == "16,8"
    assert rows[1]["val_loss"] == ""

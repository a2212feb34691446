"""Samplers of local experiments: they choose no point twice, and the same points for the same seed."""

import random
from collections.abc import Iterator
from typing import Protocol

import optuna

from container_component_src.steps.training import Hyperparameters
from container_component_src.steps.tuning import Algorithm, Experiment, SearchSpace, to_dict
from container_component_src.tuning.experiment import Trial


class Sampler(Protocol):
    """Chooses points of a search space; asked at most once per point."""

    def ask(self) -> Hyperparameters:
        """Return a point that was not chosen before."""

    def tell(self, trial: Trial) -> None:
        """Learn from the trial of a chosen point; trials are told in the order in which their points were chosen."""


def make_sampler(experiment: Experiment) -> Sampler:
    """Return the sampler of an experiment's algorithm.

    Raises:
        InputError: Only Katib can run the experiment.
    """
    experiment.check_local()
    if experiment.algorithm is Algorithm.TPE:
        return TpeSampler(experiment, experiment.seed)
    if experiment.algorithm is Algorithm.RANDOM:
        return FixedSampler(shuffled_points(experiment, experiment.seed))
    return FixedSampler(experiment.point(index) for index in range(experiment.size))


def shuffled_points(space: SearchSpace, seed: int) -> Iterator[Hyperparameters]:
    """Yield all points in random order, drawn one by one because a search space may be too large for a list."""
    generator, drawn = random.Random(seed), set[int]()
    while len(drawn) < space.size:
        index = generator.randrange(space.size)
        if index not in drawn:
            drawn.add(index)
            yield space.point(index)


class FixedSampler:
    """Chooses the points of a sequence, independent of the results."""

    def __init__(self, points: Iterator[Hyperparameters]) -> None:
        self._points = points

    def ask(self) -> Hyperparameters:
        """Return the next point."""
        return next(self._points)

    def tell(self, trial: Trial) -> None:
        """Ignore the trial."""


class TpeSampler:
    """Tree-structured Parzen estimator of optuna; if it repeats a point, a random new point is used instead."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(choices) for name, choices in space.choices().items()
        }
        self._study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._spare_points = shuffled_points(space, seed)
        self._asked: dict[Hyperparameters, optuna.Trial] = {}

    def ask(self) -> Hyperparameters:
        """Return a promising point."""
        suggestion = self._study.ask(self._distributions)
        point = Hyperparameters.model_validate(suggestion.params)
        if point in self._asked:
            self._study.tell(suggestion, state=optuna.trial.TrialState.FAIL)
            point = next(spare for spare in self._spare_points if spare not in self._asked)
            self._study.enqueue_trial(to_dict(point))
            suggestion = self._study.ask(self._distributions)
        self._asked[point] = suggestion
        return point

    def tell(self, trial: Trial) -> None:
        """Learn the objective of a point, or that it has none."""
        failed = optuna.trial.TrialState.FAIL if trial.objective is None else None
        self._study.tell(self._asked[trial.hyperparameters], trial.objective, state=failed)

"""A tuning experiment: what is asked of a backend, and what it finds."""

import csv
import io
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from container_component_src.errors import StepError
from container_component_src.model.arguments import Hyperparameters, Size, TrainingArguments
from container_component_src.tuning.collector import OBJECTIVE
from container_component_src.tuning.search_space import SearchSpace, to_dict
from container_component_src.values import IMAGE_USER, Frozen, NonEmpty


class Algorithm(StrEnum):
    """How points of the search space are chosen."""

    RANDOM = "random"
    TPE = "tpe"  # tree-structured Parzen estimator (Bergstra et al. 2011)
    GRID = "grid"  # every point, each once
    BAYESIAN = "bayesian"  # Gaussian processes; Katib only


class EarlyStopping(StrEnum):
    """Which trials are stopped before they end by themselves."""

    NONE = "none"
    MEDIAN = "medianstop"  # those that are worse than the median of earlier ones at the same epoch; Katib only


class Experiment(Frozen):
    """The search for the hyperparameters with the smallest objective."""

    search_space: SearchSpace
    algorithm: Algorithm
    max_trials: Size
    parallel_trials: Size
    max_failed_trials: int = Field(ge=0)  # so many may fail; one more ends the experiment
    train_df_path: NonEmpty  # datasets, scaled
    val_df_path: NonEmpty
    max_epochs: Size  # of one trial
    early_stopping_patience: Size  # epochs
    window_steps: Size = 1  # time steps that the models see at once
    seed: int = Field(ge=0, lt=2**32)  # of the algorithm and of every trial
    trial_timeout: float = Field(gt=0, allow_inf_nan=False)  # seconds
    trial_early_stopping: EarlyStopping = EarlyStopping.NONE
    medianstop_start_step: Size = 2  # epochs of a trial before it is compared with others
    medianstop_min_trials_required: Size = 3  # trials that have succeeded before others are compared with them
    trial_user: int = Field(default=IMAGE_USER, ge=0)  # of a trial's pod; 0 where the cluster assigns users

    @model_validator(mode="after")
    def _medianstop_can_stop(self) -> Self:
        """Refuse settings with which no trial is ever stopped.

        Raises:
            ValueError: There are such.
        """
        if self.trial_early_stopping is EarlyStopping.MEDIAN:
            if self.medianstop_start_step > self.max_epochs:
                raise ValueError(
                    f"--medianstop-start-step {self.medianstop_start_step} stops no trial of {self.max_epochs} epochs; "
                    "lower it or raise --max-epochs"
                )
            if self.medianstop_min_trials_required >= self.trial_count:
                raise ValueError(
                    f"--medianstop-min-trials-required {self.medianstop_min_trials_required} stops none of "
                    f"{self.trial_count} trials; lower it or raise --max-trials"
                )
        return self

    @property
    def trial_count(self) -> int:
        """Number of trials: at most one for each point."""
        return min(self.max_trials, self.search_space.size)

    @property
    def parallel_count(self) -> int:
        """Number of trials at the same time: at most all of them."""
        return min(self.parallel_trials, self.trial_count)

    def arguments(self, hyperparameters: Hyperparameters, model_output_file: str) -> TrainingArguments:
        """The arguments of a trial."""
        return TrainingArguments(
            **hyperparameters.model_dump(),
            train_df_path=self.train_df_path,
            val_df_path=self.val_df_path,
            max_epochs=self.max_epochs,
            early_stopping_patience=self.early_stopping_patience,
            window_steps=self.window_steps,
            seed=self.seed,
            model_output_file=model_output_file,
        )


class TrialState(StrEnum):
    """How a trial ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMEOUT = "timeout"
    EARLY_STOPPED = "early-stopped"


class Trial(Frozen):
    """One finished training run of an experiment."""

    number: int  # from 0, in the order in which points were chosen
    hyperparameters: Hyperparameters
    state: TrialState
    objective: float | None = None  # the smallest validation loss; None if it failed
    seconds: float
    epochs: int = 0  # validation losses reported
    failure: str = ""  # what went wrong


class TuningResult(Frozen):
    """All trials of a finished experiment."""

    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial with the smallest objective, the first of equals.

        Raises:
            StepError: No trial succeeded.
        """
        best = min(
            (trial for trial in self.trials if trial.objective is not None),
            key=lambda trial: (trial.objective, trial.number),
            default=None,
        )
        if best is None:
            raise StepError(f"none of {len(self.trials)} trials succeeded; read the log of a trial for the cause")
        return best

    @property
    def trials_table(self) -> str:
        """The trials as CSV with a header; the objective of a trial without one is empty."""
        header = ["trial", "state", OBJECTIVE, "seconds", *Hyperparameters.model_fields]
        text = io.StringIO()
        table = csv.DictWriter(text, header, lineterminator="\n")
        table.writeheader()
        for trial in self.trials:
            table.writerow(
                {
                    "trial": trial.number,
                    "state": trial.state.value,
                    OBJECTIVE: trial.objective,
                    "seconds": round(trial.seconds, 2),
                    **to_dict(trial.hyperparameters),
                }
            )
        return text.getvalue()

    def metadata(self) -> dict[str, Any]:
        """The summary that the pipeline shows beside the trials table."""
        return {
            "trials": len(self.trials),
            "succeeded_trials": sum(trial.state is TrialState.SUCCEEDED for trial in self.trials),
            "best_trial": self.best.number,
            f"best_{OBJECTIVE}": self.best.objective,
            "trial_seconds": round(sum(trial.seconds for trial in self.trials), 1),
        }

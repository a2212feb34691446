"""The outcome of a tuning: its trials and the best one."""

import csv
import io
from enum import StrEnum
from typing import Any

from container_component_src.errors import StepError
from container_component_src.steps.training import Hyperparameters
from container_component_src.steps.tuning import to_dict
from container_component_src.tuning.collector import OBJECTIVE
from container_component_src.values import Frozen


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

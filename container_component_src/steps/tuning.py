"""The search for hyperparameters."""

import math
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from container_component_src.errors import InputError
from container_component_src.steps.declaration import Arguments, output_file, parameter, wired
from container_component_src.steps.description import text_of
from container_component_src.steps.shared import Launching, Size
from container_component_src.steps.training import (
    HiddenDims,
    Hyperparameters,
    TrainingArguments,
    TrainingData,
    WindowSteps,
)
from container_component_src.values import IMAGE_USER, LARGEST_ID, NonEmpty


class Algorithm(StrEnum):
    """How points of the search space are chosen."""

    RANDOM = "random"
    TPE = "tpe"  # tree-structured Parzen estimator (Bergstra et al. 2011)
    GRID = "grid"  # every point once
    BAYESIAN = "bayesian"  # Gaussian processes; Katib only


class EarlyStopping(StrEnum):
    """Which trials are stopped before they end by themselves."""

    NONE = "none"
    MEDIAN = "medianstop"  # those that are worse than the median of earlier ones at the same epoch; Katib only


def _distinct(choices: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = [choice for position, choice in enumerate(choices) if choice in choices[:position]]
    if repeated:
        raise ValueError(f"{repeated[0]} is repeated; give a list of different positive choices")
    return choices


Positive = Annotated[float, Field(gt=0)]
Choices = (Field(min_length=1), AfterValidator(_distinct))


def to_dict(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return JSON values as steps and tables of trials have them, with hidden sizes as `128,64`."""
    return {**hyperparameters.model_dump(), "hidden_dims": text_of(hyperparameters.hidden_dims)}


class SearchSpace(Arguments):
    """The choices for each hyperparameter; every combination of them is a point."""

    latent_dims: Annotated[tuple[Size, ...], *Choices] = parameter(
        "Sizes of the latent space to try, as a JSON list.", (16, 24)
    )
    hidden_dims: Annotated[tuple[HiddenDims, ...], *Choices] = parameter(
        'Sizes of the two hidden layers to try, as a JSON list of texts such as "128,64".', ((64, 32), (128, 64))
    )
    betas: Annotated[tuple[Positive, ...], *Choices] = parameter(
        "Weights of the KL divergence to try, as a JSON list.", (1.0,)
    )
    lrs: Annotated[tuple[Positive, ...], *Choices] = parameter("Learning rates to try, as a JSON list.", (0.003,))
    batch_sizes: Annotated[tuple[Size, ...], *Choices] = parameter("Batch sizes to try, as a JSON list.", (1024,))
    window_steps: Annotated[tuple[WindowSteps, ...], *Choices] = parameter(
        "Numbers of time steps to try that the model sees at once, the current one included, as a JSON list or one "
        "number. Memory grows by this factor.",
        (5,),
    )

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(len(choices) for choices in self.choices().values())

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """Return the choices by the name of the hyperparameter, in the form of `to_dict`."""
        return {
            "latent_dim": self.latent_dims,
            "hidden_dims": tuple(map(text_of, self.hidden_dims)),
            "beta": self.betas,
            "lr": self.lrs,
            "batch_size": self.batch_sizes,
            "window_steps": self.window_steps,
        }

    def point(self, index: int) -> Hyperparameters:
        """Return a point by its number from 0 to `size` - 1; the last hyperparameter varies fastest."""
        values = {}
        for name, choices in reversed(self.choices().items()):
            index, position = divmod(index, len(choices))
            values[name] = choices[position]
        return Hyperparameters.model_validate(values)


class Experiment(TrainingData, SearchSpace):
    """The search for the hyperparameters with the smallest validation loss."""

    algorithm: Algorithm = parameter(
        "How points of the search space are chosen; bayesian is for clusters only.",
        Algorithm.TPE,
        name="tuning_algorithm",
    )
    max_trials: int = parameter("Most trials of the tuning.", 4, ge=1)
    parallel_trials: int = parameter("Trials at the same time.", 2, ge=1)
    max_failed_trials: int = parameter("Trials that may fail; one more fails the tuning.", 1, ge=0)
    max_epochs: int = parameter("Most epochs of a trial.", 2, name="tuning_max_epochs", ge=1)
    trial_early_stopping: EarlyStopping = parameter(
        "Whether to stop trials that are worse than the median of earlier ones; for clusters only.", EarlyStopping.NONE
    )
    medianstop_start_step: int = parameter(
        "Epoch from which on medianstop compares a trial with others; at most the epochs of a trial.", 1, ge=1
    )
    medianstop_min_trials_required: int = parameter(
        "Trials that must have succeeded before medianstop stops others; fewer than the trials.", 2, ge=1
    )
    trial_user: int = wired(
        "User and group ID of the pod of a trial; 0 on clusters that assign users themselves.",
        IMAGE_USER,
        ge=0,
        le=LARGEST_ID,
    )
    trial_timeout: float = wired("Seconds that a trial may take.", 21_600.0, gt=0)

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        """Refuse windows that the detector cannot use, and settings with which no trial is ever stopped.

        Raises:
            ValueError: The settings are such.
        """
        self.detector.check_window(min(self.window_steps))
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

    def check_local(self) -> None:
        """Check that processes of this machine can run the experiment.

        Raises:
            InputError: Only Katib offers what it asks for.
        """
        if self.algorithm is Algorithm.BAYESIAN:
            raise InputError(
                "--algorithm bayesian needs --backend kubernetes", fix="use tpe, random or grid with --backend local"
            )
        if self.trial_early_stopping is not EarlyStopping.NONE:
            raise InputError(
                f"--trial-early-stopping {self.trial_early_stopping} needs --backend kubernetes",
                fix="use none with --backend local",
            )

    @property
    def trial_count(self) -> int:
        """Number of trials: at most one for each point."""
        return min(self.max_trials, self.size)

    @property
    def parallel_count(self) -> int:
        """Number of trials at the same time: at most all of them."""
        return min(self.parallel_trials, self.trial_count)

    def arguments(self, hyperparameters: Hyperparameters, model_output_file: str) -> TrainingArguments:
        """Return the arguments of a trial."""
        shared = {name: getattr(self, name) for name in (*TrainingData.model_fields, "max_epochs")}
        return TrainingArguments.model_validate(
            {**hyperparameters.model_dump(), **shared, "model_output_file": model_output_file}
        )


class RunKatibExperiment(Experiment, Launching):
    """Arguments of `run_katib_experiment`."""

    command: ClassVar[str] = "run_katib_experiment"
    results: ClassVar[dict[str, type]] = {"best_hyperparameters": str}  # a JSON object

    trials_path: NonEmpty = output_file("CSV file of all trials.", "trials")
    trials_page_path: str = output_file(
        "HTML file with a picture of all trials. Empty: none.", "trials_page", "HTML", ""
    )

    @model_validator(mode="after")
    def _backend_can_tune(self) -> Self:
        if self.backend == "local":
            self.check_local()
        return self

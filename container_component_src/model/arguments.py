"""Arguments of the training program and the command line that carries them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from container_component_src.errors import InputError
from container_component_src.values import Frozen, NonEmpty, describe

# How a quantile of the validation scores is found: among those there are, or from a distribution fitted to their tail.
ThresholdMethod = Literal["quantile", "peaks_over_threshold"]
Size = Annotated[int, Field(ge=1)]
F = TypeVar("F", bound=Frozen)


def _split_sizes(value: object) -> object:
    return [part.strip() for part in value.strip("[] ").split(",")] if isinstance(value, str) else value


class Hyperparameters(Frozen):
    """What the tuning searches: architecture and optimisation; whole numbers may come as `8.0`."""

    latent_dim: Size = 8
    hidden_dims: Annotated[tuple[Size, Size], BeforeValidator(_split_sizes)] = (128, 64)  # also as `128,64`
    beta: float = Field(default=1.0, ge=0, allow_inf_nan=False)  # weight of the KL divergence in the ELBO
    lr: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    batch_size: Size = 1024  # rows of one optimiser step, over all nodes


class TrainingArguments(Hyperparameters):
    """All arguments of `run_training`."""

    train_df_path: NonEmpty  # datasets
    val_df_path: NonEmpty
    model_output_file: NonEmpty  # the folder of the model bundle
    window_steps: Size = 1  # time steps that the model sees at once
    seed: int = Field(default=42, ge=0, lt=2**32)
    early_stopping_patience: Size = 5  # epochs without a better val_loss
    max_epochs: Size = 30
    num_gpu_nodes: Size = 1  # replicas of a distributed run
    run_as_pytorchjob: bool = False  # take part in a distributed run, as the environment of the training operator says
    smoothing_window: Size = 1  # time steps of the causal rolling median over the scores
    alarm_quantile: float = Field(default=0.99, gt=0, lt=1)  # of the validation scores: the calibrated threshold
    threshold_method: ThresholdMethod = "quantile"

    memory_share: float = Field(default=0.25, ge=0, le=1)  # of the memory that a dataset may take; else it is streamed

    @model_validator(mode="after")
    def _batch_feeds_every_node(self) -> "TrainingArguments":
        if self.num_gpu_nodes > 1 and self.batch_size < 2 * self.num_gpu_nodes:
            raise InputError(
                f"batch size {self.batch_size} is too small to share among {self.num_gpu_nodes} nodes; "
                f"use at least {2 * self.num_gpu_nodes}"
            )
        return self

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The part that the tuning searches."""
        return Hyperparameters(**self.model_dump(include={*Hyperparameters.model_fields}))


class TrainingJob(Frozen):
    """A distributed run of the training program on `arguments.num_gpu_nodes` nodes."""

    arguments: TrainingArguments
    timeout: float = Field(default=86_400.0, gt=0, allow_inf_nan=False)  # seconds that it may take


def checked(kind: type[F], values: Mapping[str, Any]) -> F:
    """Make a value object of user input.

    Raises:
        InputError: A value is missing, unknown, of a wrong type or out of range; the message names it.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(describe(error)) from error


def training_command(arguments: TrainingArguments, placeholders: Mapping[str, str] | None = None) -> list[str]:
    """The command line of a training run: what trials, training jobs and local runs start.

    No value that is made here needs quoting in a shell, because Katib joins the parts by blanks.

    Args:
        arguments: Of the run.
        placeholders: What stands in place of the values of some arguments, by their names.
    """
    texts = placeholders or {}
    command = ["python", "container_component_src/main.py", "run_training"]
    for name in TrainingArguments.model_fields:
        command += [f"--{name.replace('_', '-')}", texts.get(name) or _text(getattr(arguments, name))]
    return command


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)

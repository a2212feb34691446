"""The training program, and the step that runs it on several nodes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from container_component_src.errors import InputError
from container_component_src.steps.declaration import Arguments, option, output_dataset, parameter, wired
from container_component_src.steps.description import text_of
from container_component_src.steps.shared import DataRoot, Launching, Seed, Size
from container_component_src.values import PROGRAM, Frozen, NonEmpty

DAY = 86_400.0  # seconds


def _layer_sizes(value: object) -> object:
    sizes = [size.strip() for size in value.strip("[] ").split(",")] if isinstance(value, str) else value
    if not isinstance(sizes, list | tuple) or len(sizes) != 2:
        raise ValueError(f"{value!r} does not name two layer sizes, as in 128,64")
    return sizes


# Sizes of the encoder's two hidden layers; the decoder has them in reverse. As text `128,64`: it needs no quotes.
HiddenDims = Annotated[tuple[Size, Size], BeforeValidator(_layer_sizes)]


WindowSteps = Annotated[int, Field(ge=1, le=10_000)]


class Detector(StrEnum):
    """Which networks score a window of time steps."""

    VAE = "vae"
    FORECASTER = "forecaster"
    ENSEMBLE = "ensemble"  # both of them
    AUTO = "auto"  # which of the others finds synthetic anomalies in the validation data best

    def check_window(self, window_steps: int) -> None:
        """Check that a window has a time step to predict and one before it.

        Raises:
            InputError: It has not.
        """
        if self is not Detector.VAE and window_steps < 2:
            raise InputError(
                f"window_steps {window_steps} has no earlier time step, from which --detector {self} predicts",
                fix="use at least 2, or --detector vae",
            )


class Hyperparameters(Arguments):
    """What the tuning searches: architecture and optimization."""

    latent_dim: int = option("Size of the latent space.", 24, ge=1)
    hidden_dims: HiddenDims = option("Sizes of the two hidden layers of the encoder.", (128, 64))
    beta: float = option("Weight of the KL divergence in the ELBO.", 1.0, ge=0)
    lr: float = option("Learning rate of Adam.", 0.003, gt=0)
    batch_size: int = option("Most rows of one optimization step, over all nodes.", 1024, ge=1)
    window_steps: WindowSteps = option("Time steps that the model sees at once, the current one included.", 5)


class TrainingData(Seed):
    """What a trial of the tuning and the final training have in common."""

    train_df_path: NonEmpty = wired("Scaled training set.")
    val_df_path: NonEmpty = wired("Scaled validation set: it ends the training.")
    detector: Detector = parameter(
        "Which networks are trained: a VAE, a forecaster, or an ensemble of both; auto trains both, and keeps what "
        "finds synthetic anomalies in the validation data best.",
        Detector.VAE,
    )
    min_epoch_steps: int = parameter(
        "Least optimization steps of an epoch, which ends with a validation. A small training set gets smaller "
        "batches, of 256 rows at least, and is passed several times.",
        200,
        ge=1,
    )
    early_stopping_patience: int = parameter("Epochs without a lower validation loss that end a training.", 3, ge=1)


class FinalTraining(TrainingData):
    """What only the final training needs."""

    max_epochs: int = parameter("Most epochs of the final training.", 8, ge=1)
    num_gpu_nodes: int = parameter("Nodes of the final training.", 1, ge=1)
    model_output_file: NonEmpty = output_dataset("Folder of the model bundle.", "model", "Model")


def least_batch_size(nodes: int) -> int:
    """Return the rows that a batch needs: two for each node of a distributed training."""
    return 2 * nodes if nodes > 1 else 1


class TrainingArguments(FinalTraining, Hyperparameters):
    """Arguments of `run_training`."""

    command: ClassVar[str] = "run_training"

    run_as_pytorchjob: bool = option(
        "Whether to take part in a distributed training as the environment says, which the operator sets.",
        False,
    )
    memory_share: float = option(
        "Share of the memory that a dataset may take; a larger one is streamed.", 0.25, ge=0, le=1
    )

    @classmethod
    def publishes(cls) -> bool:
        """Return False: the step that starts the program reports its outputs."""
        return False

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.batch_size < (least := least_batch_size(self.num_gpu_nodes)):
            raise InputError(
                f"batch size {self.batch_size} is too small for {self.num_gpu_nodes} nodes", fix=f"use at least {least}"
            )
        self.detector.check_window(self.window_steps)
        return self

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The arguments that the tuning searches."""
        return self.part(Hyperparameters)


class TrainingApi(StrEnum):
    """Kind of the job that trains on a cluster."""

    AUTO = "auto"  # whichever the cluster serves
    PYTORCH_JOB = "PyTorchJob"
    TRAIN_JOB = "TrainJob"


class TrainingJob(Frozen):
    """A distributed run of the training program on `arguments.num_gpu_nodes` nodes."""

    arguments: TrainingArguments
    timeout: float = DAY  # seconds
    training_api: TrainingApi = TrainingApi.AUTO  # clusters only


class RunPyTorchJob(FinalTraining, DataRoot, Launching):
    """Arguments of `run_pytorchjob`."""

    command: ClassVar[str] = "run_pytorchjob"

    hyperparameters: Hyperparameters = wired(
        'Hyperparameters as a JSON object, as the tuning returns it: {"latent_dim": 8, "hidden_dims": "128,64", '
        '"beta": 1.0, "lr": 0.001, "batch_size": 1024, "window_steps": 1}; '
        "those left out have the defaults of run_training.",
        Hyperparameters.model_construct(),
    )
    job_timeout: float = wired(
        "Seconds that the training may take, including the time until its pods have nodes.", DAY, gt=0
    )
    training_api: TrainingApi = wired(
        "Job that trains on a cluster: of the training operator (PyTorchJob), or of Kubeflow Trainer (TrainJob); auto "
        "takes what the cluster serves, and a PyTorchJob if it serves both.",
        TrainingApi.AUTO,
    )

    def job(self, model_output_file: str) -> TrainingJob:
        """Return the training to run.

        Args:
            model_output_file: Folder of the model bundle.

        Raises:
            InputError: The batches are too small for the nodes.
        """
        own = {name: getattr(self, name) for name in FinalTraining.model_fields}
        values = {**self.hyperparameters.model_dump(), **own, "model_output_file": model_output_file}
        return TrainingJob(
            arguments=TrainingArguments.model_validate(values), timeout=self.job_timeout, training_api=self.training_api
        )


def training_command(arguments: TrainingArguments, placeholders: Mapping[str, str] | None = None) -> list[str]:
    """Build the command line of a training: trials, training jobs and local runs start this one.

    No value needs quoting in a shell, because Katib joins the arguments by blanks.

    Args:
        arguments: Arguments of the training.
        placeholders: Text in place of the values of some arguments, by name.
    """
    texts = placeholders or {}
    command = [*PROGRAM, arguments.command]
    for name in TrainingArguments.model_fields:
        command += [f"--{name.replace('_', '-')}", texts.get(name) or text_of(getattr(arguments, name))]
    return command

"""The options of the training program, which takes all of them, and of its launcher, which takes some."""

from collections.abc import Callable
from typing import Any, get_args

import click

from container_component_src.cli.options import F, HiddenDims, WholeNumber
from container_component_src.model.arguments import ThresholdMethod, TrainingArguments

_OPTIONS: dict[str, tuple[click.ParamType[Any], str]] = {
    "train_df_path": (click.STRING, "Dataset to learn from."),
    "val_df_path": (click.STRING, "Dataset that tells when to stop and sets the alarm threshold."),
    "window_steps": (WholeNumber(1), "Time steps that the model sees at once, the present one included."),
    "seed": (WholeNumber(0), "Of weights, order and samples."),
    "batch_size": (WholeNumber(1), "Rows a step, over all nodes."),
    "latent_dim": (WholeNumber(1), "Size of the latent space."),
    "hidden_dims": (HiddenDims(), "Encoder's hidden layers; the decoder has them in reverse."),
    "beta": (click.FLOAT, "Weight of the KL divergence."),
    "lr": (click.FLOAT, "Learning rate of Adam."),
    "early_stopping_patience": (WholeNumber(1), "Epochs without a better val_loss before the training ends."),
    "max_epochs": (WholeNumber(1), "Epochs at most."),
    "num_gpu_nodes": (WholeNumber(1), "Nodes of a distributed run."),
    "run_as_pytorchjob": (
        click.BOOL,
        "Take part in a distributed run as the training operator's environment says (true or false).",
    ),
    "model_output_file": (click.STRING, "Folder of the model bundle."),
    "smoothing_window": (WholeNumber(1), "Time steps of the rolling median over scores; 1 = none."),
    "alarm_quantile": (click.FLOAT, "Quantile of the validation scores that is the alarm threshold."),
    "threshold_method": (
        click.Choice(get_args(ThresholdMethod)),
        "How that quantile is found; the other fits the tail.",
    ),
    "memory_share": (click.FLOAT, "Share of the memory that a dataset may take; a larger one is streamed."),
}


def training_options(*names: str) -> Callable[[F], F]:
    """Options by the names of the fields of `TrainingArguments`, with their defaults; all of them without names."""

    def decorate(command: F) -> F:
        for name in reversed(names or tuple(_OPTIONS)):
            kind, text = _OPTIONS[name]
            field = TrainingArguments.model_fields[name]
            if field.is_required():
                option = click.option(f"--{name.replace('_', '-')}", type=kind, required=True, help=text)
            else:
                default = ",".join(map(str, field.default)) if name == "hidden_dims" else field.default
                option = click.option(
                    f"--{name.replace('_', '-')}", type=kind, default=default, show_default=True, help=text
                )
            command = option(command)
        return command

    return decorate

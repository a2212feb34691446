"""`run_training`: the training program itself, which trials, training jobs and users start."""

from typing import Any

import click

from container_component_src.cli.training_options import training_options


@click.command()
@training_options()
def run_training(**options: Any) -> None:
    """Train a VAE, printing train_loss and val_loss after each epoch, and write a model bundle."""
    from container_component_src.model.arguments import TrainingArguments, checked

    arguments = checked(TrainingArguments, options)  # before the import of torch, which takes seconds
    from container_component_src.model.training import train

    train(arguments)

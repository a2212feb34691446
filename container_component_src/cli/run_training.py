"""`run_training`: the training program, which trials, training jobs and users start."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.training import TrainingArguments


@step_command(TrainingArguments)
def run_training(arguments: TrainingArguments) -> None:
    """Train a detector, print train_loss and val_loss after each epoch, and write a model bundle."""
    from container_component_src.model.training import train

    train(arguments)

"""`run_training`: the training program itself, which trials, training jobs and users start."""

from typing import Any

import click

from container_component_src.cli.options import HiddenDims, WholeNumber


@click.command()
@click.option("--train-df-path", required=True, help="Dataset to learn from.")
@click.option("--val-df-path", required=True, help="Dataset that tells when to stop and sets the alarm threshold.")
@click.option("--seed", type=WholeNumber(0), default=42, show_default=True, help="Of weights, order and samples.")
@click.option("--batch-size", type=WholeNumber(1), default=1024, show_default=True, help="Rows a step, over all nodes.")
@click.option("--latent-dim", type=WholeNumber(1), default=8, show_default=True, help="Size of the latent space.")
@click.option("--hidden-dims", type=HiddenDims(), default="128,64", show_default=True, help="Encoder's hidden layers.")
@click.option("--beta", type=float, default=1.0, show_default=True, help="Weight of the KL divergence.")
@click.option("--lr", type=float, default=1e-3, show_default=True, help="Learning rate of Adam.")
@click.option(
    "--early-stopping-patience",
    type=WholeNumber(1),
    default=5,
    show_default=True,
    help="Epochs without a better val_loss before the training ends.",
)
@click.option("--max-epochs", type=WholeNumber(1), default=30, show_default=True, help="Epochs at most.")
@click.option("--num-gpu-nodes", type=WholeNumber(1), default=1, show_default=True, help="Nodes of a distributed run.")
@click.option(
    "--run-as-pytorchjob",
    type=bool,
    default=False,
    show_default=True,
    help="Take part in a distributed run as the training operator's environment says (true or false).",
)
@click.option("--model-output-file", required=True, help="Folder of the model bundle.")
@click.option(
    "--smoothing-window",
    type=WholeNumber(1),
    default=1,
    show_default=True,
    help="Time steps of the rolling median over scores; 1 = none.",
)
@click.option(
    "--alarm-quantile",
    type=float,
    default=0.999,
    show_default=True,
    help="Quantile of the validation scores that is the alarm threshold.",
)
def run_training(**options: Any) -> None:
    """Train a VAE, printing train_loss and val_loss after each epoch, and write a model bundle."""
    from container_component_src.model.arguments import TrainingArguments, checked

    arguments = checked(TrainingArguments, options)
    from container_component_src.model.training import train

    train(arguments)

"""`run_pytorchjob`: the final training, distributed over nodes."""

from typing import Any

import click

from container_component_src.cli.options import JsonValue, WholeNumber, backend_option, executor_input_option


@click.command()
@click.option("--train-df-path", required=True, help="Dataset to learn from.")
@click.option("--val-df-path", required=True, help="Dataset that tells when to stop and sets the alarm threshold.")
@click.option(
    "--hyperparameters",
    type=JsonValue(dict),
    default="{}",
    help='JSON as the tuning returns it: {"latent_dim": 8, "hidden_dims": "128,64", "beta": 1.0, "lr": 0.001, '
    '"batch_size": 1024}; those left out have the defaults of run_training.',
)
@click.option("--seed", type=WholeNumber(0), default=42, show_default=True, help="Of weights, order and samples.")
@click.option("--max-epochs", type=WholeNumber(1), default=30, show_default=True, help="Epochs at most.")
@click.option(
    "--early-stopping-patience",
    type=WholeNumber(1),
    default=5,
    show_default=True,
    help="Epochs without a better val_loss before the training ends.",
)
@click.option("--num-gpu-nodes", type=WholeNumber(1), default=1, show_default=True, help="Nodes to train on.")
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
@click.option("--model-output-file", required=True, help="Folder of the model bundle.")
@click.option(
    "--job-timeout", type=float, default=86_400.0, show_default=True, help="Seconds that the training may take."
)
@backend_option
@executor_input_option
def run_pytorchjob(
    hyperparameters: dict[str, Any], job_timeout: float, backend_name: str, executor_input: str, **options: Any
) -> None:
    """Train with given hyperparameters on several nodes and write the model bundle."""
    from container_component_src import outputs
    from container_component_src.backends.base import get_backend
    from container_component_src.model.arguments import Hyperparameters, TrainingArguments, TrainingJob, checked
    from container_component_src.model.bundle_info import open_info

    chosen = checked(Hyperparameters, hyperparameters)
    arguments = checked(TrainingArguments, {**chosen.model_dump(), **options})
    get_backend(backend_name).train(checked(TrainingJob, {"arguments": arguments, "timeout": job_timeout}))
    info = open_info(arguments.model_output_file)
    outputs.publish(executor_input, artifacts={"model": info.metadata()})

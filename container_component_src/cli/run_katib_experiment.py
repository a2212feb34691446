"""`run_katib_experiment`: scaled training and validation data and a search space into the best hyperparameters."""

from typing import TYPE_CHECKING, Any

import click

from container_component_src.cli.cluster_options import cluster_options, print_manifest
from container_component_src.cli.options import (
    POSITIVE,
    JsonValue,
    WholeNumber,
    backend_option,
    executor_input_option,
)
from container_component_src.cli.training_options import training_options
from container_component_src.values import IMAGE_USER

if TYPE_CHECKING:
    from container_component_src.cluster.pod_settings import PodSettings

CHOICES = JsonValue(list)


@click.command()
@click.option("--train-df-path", required=True, help="Dataset to train on, scaled.")
@click.option("--val-df-path", required=True, help="Dataset for the objective, scaled.")
@click.option("--latent-dims", type=CHOICES, default="[4, 8, 16]", show_default=True, help="Sizes of the latent code.")
@click.option(
    "--hidden-dims",
    type=CHOICES,
    default='["128,64", "64,32"]',
    show_default=True,
    help="Sizes of both hidden layers, each as text or as a list.",
)
@click.option("--betas", type=CHOICES, default="[0.1, 1.0]", show_default=True, help="Weights of the KL divergence.")
@click.option("--lrs", type=CHOICES, default="[0.001, 0.003]", show_default=True, help="Learning rates.")
@click.option("--batch-sizes", type=CHOICES, default="[512, 1024]", show_default=True, help="Batch sizes, in rows.")
@click.option(
    "--algorithm",
    type=click.Choice(["random", "tpe", "grid", "bayesian"]),
    default="random",
    show_default=True,
    help="How points of the search space are chosen; bayesian is for clusters only.",
)
@click.option("--max-trials", type=WholeNumber(1), default=6, show_default=True, help="Trials altogether.")
@click.option("--parallel-trials", type=WholeNumber(1), default=2, show_default=True, help="Trials at the same time.")
@click.option(
    "--max-failed-trials",
    type=WholeNumber(0),
    default=1,
    show_default=True,
    help="Trials that may fail; one more fails the experiment.",
)
@click.option("--max-epochs", type=WholeNumber(1), default=3, show_default=True, help="Epochs of one trial.")
@click.option(
    "--early-stopping-patience",
    type=WholeNumber(1),
    default=2,
    show_default=True,
    help="Epochs without a better loss that end a trial.",
)
@training_options("window_steps")
@click.option(
    "--trial-early-stopping",
    type=click.Choice(["none", "medianstop"]),
    default="none",
    show_default=True,
    help="Stop trials that are worse than the median of earlier ones; for clusters only.",
)
@click.option(
    "--medianstop-start-step",
    type=WholeNumber(1),
    default=2,
    show_default=True,
    help="Epoch after which medianstop compares a trial with others; at most --max-epochs.",
)
@click.option(
    "--medianstop-min-trials-required",
    type=WholeNumber(1),
    default=3,
    show_default=True,
    help="Trials that must have succeeded before medianstop stops others; fewer than --max-trials.",
)
@click.option(
    "--trial-user",
    type=WholeNumber(0),
    default=IMAGE_USER,
    show_default=True,
    help="User and group, as a number, of a trial's pod; 0 on clusters that assign users themselves.",
)
@click.option("--trial-timeout", type=POSITIVE, default=21600, show_default=True, help="Seconds that a trial may take.")
@click.option(
    "--seed", type=WholeNumber(0), default=42, show_default=True, help="Seed of the algorithm and of every trial."
)
@click.option("--trials-path", required=True, help="CSV file of all trials to write.")
@click.option("--trials-page-path", default="", help="HTML file with a picture of all trials, if there is to be one.")
@cluster_options()
@backend_option
@executor_input_option
def run_katib_experiment(
    train_df_path: str,
    val_df_path: str,
    latent_dims: list[Any],
    hidden_dims: list[Any],
    betas: list[Any],
    lrs: list[Any],
    batch_sizes: list[Any],
    trials_path: str,
    trials_page_path: str,
    pods: "PodSettings",
    dry_run: bool,
    backend_name: str,
    executor_input: str,
    **settings: Any,
) -> None:
    """Search for the hyperparameters with the smallest validation loss."""
    from container_component_src import outputs, storage
    from container_component_src.backends.base import get_backend
    from container_component_src.model.arguments import checked
    from container_component_src.telemetry.dataset import Dataset
    from container_component_src.tuning.experiment import Experiment
    from container_component_src.tuning.search_space import SearchSpace, to_dict

    space = SearchSpace.from_options(latent_dims, hidden_dims, betas, lrs, batch_sizes)
    paths = {"train_df_path": train_df_path, "val_df_path": val_df_path}
    experiment = checked(Experiment, {"search_space": space, **paths, **settings})
    if dry_run:
        print_manifest(pods, experiment)
        return
    for path in paths.values():
        Dataset.open(path)  # an absent dataset is reported here, and not by every trial
    result = get_backend(backend_name, pods).tune(experiment)
    storage.resolve(trials_path).write_bytes(result.trials_table.encode())
    artifacts = {"trials": result.metadata()}
    if trials_page_path:
        from container_component_src.report.trials_page import write_trials_page

        artifacts["trials_page"] = write_trials_page(trials_path, trials_page_path)
    outputs.publish(
        executor_input,
        parameters={"best_hyperparameters": to_dict(result.best.hyperparameters)},
        artifacts=artifacts,
    )

"""`create_train_val_test_split`: dataset and labels into train, val and test."""

import click

from container_component_src.cli.options import (
    CENTURY,
    Number,
    WholeNumber,
    data_root_option,
    executor_input_option,
)


@click.command()
@click.option("--df-path", required=True, help="The dataset.")
@click.option("--labels-path", required=True, help="Its label series.")
@click.option("--train-df-path", required=True, help="Folder of the train dataset; emptied first.")
@click.option("--val-df-path", required=True, help="Folder of the validation dataset; emptied first.")
@click.option("--test-df-path", required=True, help="Folder of the test dataset; emptied first.")
@data_root_option
@click.option(
    "--window-hours",
    type=Number(0, CENTURY),
    default=12.0,
    show_default=True,
    help="Rows so near to an anomaly are test.",
)
@click.option(
    "--block-hours",
    type=Number(1e-6, CENTURY),
    default=6.0,
    show_default=True,
    help="Length of the other rows' blocks.",
)
@click.option(
    "--val-fraction",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of blocks that validate.",
)
@click.option("--seed", type=WholeNumber(0), default=42, show_default=True, help="Seed of the choice of blocks.")
@executor_input_option
def create_train_val_test_split(
    df_path: str,
    labels_path: str,
    train_df_path: str,
    val_df_path: str,
    test_df_path: str,
    data_root: str,
    window_hours: float,
    block_hours: float,
    val_fraction: float,
    seed: int,
    executor_input: str,
) -> None:
    """Test on the time around anomalies; train and validate on blocks of the rest."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry.split import SplitRule, split_dataset

    rule = SplitRule(window_hours, block_hours, val_fraction, seed)
    paths = {"train": train_df_path, "val": val_df_path, "test": test_df_path}
    targets = {name: place(path, data_root, "create_train_val_test_split", name) for name, path in paths.items()}
    outputs.publish(executor_input, datasets=split_dataset(df_path, labels_path, targets, rule))

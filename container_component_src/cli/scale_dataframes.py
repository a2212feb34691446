"""`scale_dataframes`: train, val and test in units of the scaler."""

import click

from container_component_src.cli.options import data_root_option, executor_input_option


@click.command()
@click.option("--scaler-path", required=True, help="JSON file of the scaler.")
@click.option("--train-df-path", required=True, help="The train dataset.")
@click.option("--val-df-path", required=True, help="The validation dataset.")
@click.option("--test-df-path", required=True, help="The test dataset.")
@click.option("--scaled-train-df-path", required=True, help="Folder of the scaled train dataset; emptied first.")
@click.option("--scaled-val-df-path", required=True, help="Folder of the scaled validation dataset; emptied first.")
@click.option("--scaled-test-df-path", required=True, help="Folder of the scaled test dataset; emptied first.")
@data_root_option
@executor_input_option
def scale_dataframes(
    scaler_path: str,
    train_df_path: str,
    val_df_path: str,
    test_df_path: str,
    scaled_train_df_path: str,
    scaled_val_df_path: str,
    scaled_test_df_path: str,
    data_root: str,
    executor_input: str,
) -> None:
    """Scale the three datasets; missing values become 0, the centre of their channel, and are counted."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry import scaling

    scaler = scaling.load_scaler(scaler_path)
    pairs = {
        "scaled_train": (train_df_path, scaled_train_df_path),
        "scaled_val": (val_df_path, scaled_val_df_path),
        "scaled_test": (test_df_path, scaled_test_df_path),
    }
    scaled = {
        name: scaling.scale_dataset(source, scaler, place(target, data_root, "scale_dataframes", name))
        for name, (source, target) in pairs.items()
    }
    outputs.publish(executor_input, datasets=scaled)

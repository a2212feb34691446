"""`scale_dataframes`: training, validation and test sets in units of the scaler."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import ScaleDataframes


@step_command(ScaleDataframes)
def scale_dataframes(arguments: ScaleDataframes, executor_input: str) -> None:
    """Scale the three datasets; missing values become 0, the centre of their channel, and are counted."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry import scaling

    scaler = scaling.load_scaler(arguments.scaler_path)
    pairs = {
        "scaled_train": (arguments.train_df_path, arguments.scaled_train_df_path),
        "scaled_val": (arguments.val_df_path, arguments.scaled_val_df_path),
        "scaled_test": (arguments.test_df_path, arguments.scaled_test_df_path),
    }
    scaled = {
        name: scaling.scale_dataset(source, scaler, place(target, arguments.data_root, arguments.command, name))
        for name, (source, target) in pairs.items()
    }
    outputs.publish(executor_input, datasets=scaled)

"""`scale_dataframes`: training, validation, calibration and test sets in units of the scaler."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import SETS, ScaleDataframes


@step_command(ScaleDataframes)
def scale_dataframes(arguments: ScaleDataframes, executor_input: str) -> None:
    """Scale the four datasets; missing values become 0, the centre of their channel, and are counted."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry import scaling

    scaler = scaling.load_scaler(arguments.scaler_path)
    scaled = {}
    for part in SETS:
        name = f"scaled_{part}"
        target = place(getattr(arguments, f"{name}_df_path"), arguments.data_root, arguments.command, name)
        scaled[name] = scaling.scale_dataset(getattr(arguments, f"{part}_df_path"), scaler, target)
    outputs.publish(executor_input, datasets=scaled)

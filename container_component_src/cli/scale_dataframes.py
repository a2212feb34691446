"""`scale_dataframes`: training, validation, calibration and test sets in units of the scaler."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import SETS, ScaleDataframes


@step_command(ScaleDataframes)
def scale_dataframes(arguments: ScaleDataframes, executor_input: str) -> None:
    """Scale the four datasets; missing values become 0, the centre of their channel, and are counted."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry import scaling
    from container_component_src.telemetry.dataset import Dataset

    scaler = scaling.load_scaler(arguments.scaler_path)
    datasets = {f"scaled_{name}": Dataset.open(getattr(arguments, f"{name}_df_path")) for name in SETS}
    targets = {
        name: place(getattr(arguments, f"{name}_df_path"), arguments.data_root, arguments.command, name)
        for name in datasets
    }
    outputs.publish(executor_input, datasets=scaling.scale_datasets(datasets, scaler, targets))

"""`create_train_val_test_split`: one dataset into four."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import SETS, CreateTrainValTestSplit


@step_command(CreateTrainValTestSplit)
def create_train_val_test_split(arguments: CreateTrainValTestSplit, executor_input: str) -> None:
    """Write the time around anomalies as the test set, and blocks of the rest as the other sets."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry.split import split_dataset

    paths = {name: getattr(arguments, f"{name}_df_path") for name in SETS}
    targets = {name: place(path, arguments.data_root, arguments.command, name) for name, path in paths.items()}
    datasets = split_dataset(arguments.df_path, arguments.labels_path, targets, arguments, arguments.copies)
    outputs.publish(executor_input, datasets=datasets)
